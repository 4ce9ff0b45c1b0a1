//go:build !linux

package python

import (
	"errors"
	"net"
	"os"
)

// Where no descriptor is passed, big data crosses in frames.

func dataSocket(bool) (ours, theirs *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func passesFiles(conn net.Conn) net.Conn { return conn }
