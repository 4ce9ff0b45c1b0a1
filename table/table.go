// Package table ...
package table

import (
	_ "github.com/apache/arrow-go/v18/arrow/array/arreflect"
	_ "github.com/apache/arrow-go/v18/arrow/ipc"
)
