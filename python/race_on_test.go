//go:build race

package python

// slow says that the race detector multiplies the price of everything.
const slow = true
