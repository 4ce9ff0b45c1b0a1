// Jsworker is the smallest program that serves as ServerConfig.JavaScript.
package main

import (
	"log"
	"os"

	"github.com/strandsgo/strands/agentcore/javascript"
)

func main() {
	if err := javascript.Serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
