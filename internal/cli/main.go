package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main runs the program as the process: with its arguments and streams, its context
// cancelled by SIGINT and SIGTERM. A second signal ends the process at once. It does not
// return.
func Main(p *Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	status := p.Run(ctx, System(), os.Args[1:])
	stop()
	os.Exit(status)
}

// EndWithin ends the process with the status of a failure when it is still at work a
// while after its context has ended: a file system or a device may never answer. The
// function returned takes that back. It is for work that loses nothing by being killed.
func EndWithin(ctx context.Context, env *Env, grace time.Duration) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(grace):
			fmt.Fprintf(env.Stderr, "ended in the midst of its work, which did not stop within %v of the signal\n", grace)
			os.Exit(Failure)
		}
	})
	return func() {
		cancel()
		close(done)
	}
}
