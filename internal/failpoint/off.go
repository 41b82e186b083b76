//go:build !failpoints

package failpoint

// Here is passed at a point. It does nothing.
func Here(string) {}
