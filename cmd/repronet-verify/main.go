// Command repronet-verify checks what independent builders said about an output, and
// believes no aggregator. See package verify for what it trusts.
package main

import (
	"repronet.dev/internal/cli"
	"repronet.dev/verify/command"
)

func main() { cli.Main(command.Program()) }
