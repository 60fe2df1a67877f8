//go:build !torture

package gittest

// Torture says whether torture tests run in their long form.
const Torture = false
