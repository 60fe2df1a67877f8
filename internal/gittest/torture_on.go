//go:build torture

package gittest

// Torture says that tests run as long as they can be asked to.
const Torture = true
