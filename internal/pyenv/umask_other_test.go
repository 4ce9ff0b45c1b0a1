//go:build !unix

package pyenv_test

func restrictUmask() {}
