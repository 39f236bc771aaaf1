// Command repronet-verify checks what independent builders said about an output, and
// believes no aggregator. See package verify for what it trusts.
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
