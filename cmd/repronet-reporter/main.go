// Command repronet-reporter tells an aggregator which hashes this machine's builds had.
package main

import (
	"repronet.dev/internal/cli"
	"repronet.dev/reporter/command"
)

func main() { cli.Main(command.Program()) }
