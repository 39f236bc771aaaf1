// Command repronet-aggregator collects what builders attest, keeps it in a
// public ledger, and shows which builds are reproducible.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"repronet/aggregator/command"
	"repronet/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status := command.Program().Run(ctx, cli.System(), os.Args[1:])
	stop()
	os.Exit(status)
}
