// Package version says which aig this is.
package version

// Version is that of all programs together; the CHANGELOG tells them apart.
const Version = "0.1.0"
