//go:build race

package knowledge_test

// slower is how much longer the race detector lets things take.
const slower = 8
