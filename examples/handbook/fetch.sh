#!/bin/sh
# Fetches two manuals, 3,566 pages together, from Debian 12's archive: the
# reference manual of R and the C++ Annotations. Needs apt-get and dpkg-deb, no
# rights. They go below the folder named (default: manuals).
set -eu
out=${1:-manuals}
mkdir -p "$out"
cd "$out"
for package in r-doc-pdf c++-annotations-pdf; do
	apt-get download -q "$package"
	dpkg-deb -x "$package"_*.deb .
	rm "$package"_*.deb
done
mv usr/share/R/doc/manual/fullrefman.pdf r.pdf
mv usr/share/doc/c++-annotations/cplusplus.pdf cplusplus.pdf
rm -r usr
echo "in $out: r.pdf cplusplus.pdf"
