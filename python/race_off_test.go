//go:build !race

package python

const slow = false
