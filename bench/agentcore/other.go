//go:build !linux

package main

import "fmt"

func main() { fmt.Println("the sandbox that is measured needs Linux") }
