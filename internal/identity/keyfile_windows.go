package identity

import "os"

// checkMode accepts every file: its mode doesn't say who may read it.
func checkMode(*os.File, int) error { return nil }
