//go:build !race

package knowledge_test

const slower = 1
