// Package embedded carries a CPython and its pip inside the program, so that
// the machine needs none:
//
//	import _ "github.com/strandsgo/strands/python/embedded"
//
// It adds about 40 MB to the binary. The interpreter is unpacked once into the
// cache folder, at the first use. On platforms for which there is no
// distribution (other than Linux and macOS on amd64 and arm64, Windows on
// amd64) the import has no effect.
package embedded
