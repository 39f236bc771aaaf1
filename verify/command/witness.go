package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/internal/cli"
	"repronet.dev/verify/witness"
)

func witnessCommand() cli.Command {
	return cli.Command{
		Name: "witness", Synopsis: "--key FILE --log KEY… [--name NAME] [--listen ADDRESS]",
		Summary: "cosign the states of ledgers as they grow",
		About: `  Serves a witness (C2SP tlog-witness): a log sends it each new state with the proof
  that it continues the last one, and gets a cosignature if it does. The witness
  never cosigns two histories: what it cosigned is on disk before it answers. Who
  pins witnesses (repronet-verify pin --witness) cannot be shown a history of
  their own. It needs a few hundred bytes of disk for each log, and no pins.

  Run one where the ledger's operator has no say. Give its public key, which is the
  first thing printed, to those who check, and its URL to the operator of the log,
  who names it in the file of witnesses (docs/operators.md). TLS is the business of
  a proxy in front.

  With --name, a key is made if there is none in FILE. In FILE.logs is what was
  cosigned last: keep the two together, and never restore FILE.logs from a backup;
  if it is lost, begin with a new key.

EXIT STATUS
  0   it was told to end
  2   it cannot serve
  64  called wrongly

EXAMPLES
  repronet-verify witness --key witness.key --name witness.example.org \
    --log repro.example.org/log+a3c5e1f0+AR…`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var w witnessRun
			flags.StringVar(&w.config.KeyFile, "key", "", "`file` of the witness's private key")
			flags.StringVar(&w.config.Name, "name", "", "`name` of the witness, such as witness.example.org, where a key is to be made")
			flags.StringVar(&w.listen, "listen", "127.0.0.1:8381", "`address` to serve on")
			flags.Func("log", "`key` of a log to cosign, name+hash+key; may be given several times", func(key string) error {
				w.config.Logs = append(w.config.Logs, key)
				return nil
			})
			return withStatus(w.run)
		},
	}
}

type witnessRun struct {
	config witness.Config
	listen string
}

func (w *witnessRun) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case w.config.KeyFile == "":
		return cli.Usagef("want --key FILE: where is the witness's key?")
	case len(w.config.Logs) == 0:
		return cli.Usagef("want --log KEY: whose states are to be cosigned?")
	}
	w.config.Logger = slog.New(slog.NewTextHandler(env.Stderr, nil))
	handler, err := witness.Open(w.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handler.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintf(env.Stdout, "%s\nhttp://%s\n", handler.Key(), listener.Addr())
	return serve(ctx, listener, &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	})
}

// serve serves until the context ends, and closes the listener.
func serve(ctx context.Context, listener net.Listener, server *http.Server) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-groupCtx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(groupCtx), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(last); err != nil {
			return server.Close() // what is under way is asked for again
		}
		return nil
	})
	return group.Wait()
}
