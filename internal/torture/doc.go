// Package torture tests what happens when things break: pipes, and the machines at both ends. It holds nothing but tests. Each
// has a short form, which every run of the tests includes, and a long one with the build tag torture (see package gittest).
package torture
