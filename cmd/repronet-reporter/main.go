// Command repronet-reporter tells an aggregator which hashes this machine's builds had.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"repronet/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := program().Run(ctx, cli.System(), os.Args[1:])
	stop()
	os.Exit(status)
}
