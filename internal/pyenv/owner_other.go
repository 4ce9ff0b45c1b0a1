//go:build !unix

package pyenv

// trusted has nothing to look at: access lists guard the user's folders.
func trusted(string) error { return nil }
