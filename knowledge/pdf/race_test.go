//go:build race

package pdf_test

// slower is how much longer the race detector lets things take.
const slower = 3
