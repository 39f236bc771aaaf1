// Command repronet-aggregator collects what builders attest, keeps it in a
// public ledger, and shows which builds are reproducible.
package main

import (
	"repronet.dev/aggregator/command"
	"repronet.dev/internal/cli"
)

func main() { cli.Main(command.Program()) }
