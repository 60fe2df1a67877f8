package identity

import "os"

// checkMode accepts every file: the bits that there are don't say who may read.
func checkMode(*os.File, int) error { return nil }
