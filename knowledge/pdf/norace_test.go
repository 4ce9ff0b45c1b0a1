//go:build !race

package pdf_test

const slower = 1
