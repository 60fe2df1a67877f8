package identity

import "io/fs"

// checkMode accepts every file: its mode doesn't say who may read it.
func checkMode(string, fs.FileInfo, int, bool) error { return nil }
