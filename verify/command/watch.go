package command

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
)

func watchCommand() cli.Command {
	return cli.Command{
		Name: "watch", Synopsis: "[PATH|FILE] --policy FILE [--notify COMMAND] [--once] [OPTIONS]",
		Summary: "tell when something that is installed becomes diverged",
		About: `  Looks every --interval, or once with --once, at all that a system consists of, as
  'closure' does; PATH is /run/current-system where it is not given. Tells of each output
  that operators disagree about, or of which they agree on another digest than the one
  that is installed, where the policy does not accept that: once, until it is so no
  more, which is told too. What the policy warns of is told. Want of evidence is not.

  Prints a line for each. With --notify, COMMAND is run by the shell with these lines as
  its standard input; they count as told when it succeeds, and are told again
  otherwise. What was told is kept beside the copy of the ledger, for each PATH or
  FILE; --state FILE for another place.

  A timer of systemd's user manager is in the packages: 'systemctl --user enable --now
  repronet-watch.timer' has it shown on the desktop.

EXIT STATUS
  0   nothing to tell (--once), or stopped
  1   something was told (--once)
  2   it could not be looked at, or not be told
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off;
      or fewer of the pinned witnesses cosigned it than are asked for
  4   undecided: the ledger has entries that only a newer version of this program can
      read
  64  called wrongly

EXAMPLES
  repronet-verify watch --policy policy.yaml --notify 'mail -s "not reproducible" me@example.org'
  repronet-verify watch --once --policy policy.yaml --notify 'notify-send repronet "$(cat)"'`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var w watching
			w.declare(flags)
			flags.DurationVar(&w.interval, "interval", time.Hour, "`time` between looks")
			flags.StringVar(&w.notify, "notify", "", "shell `command` that tells somebody")
			flags.StringVar(&w.state, "state", "", "`file` of what was told")
			flags.BoolVar(&w.once, "once", false, "look once")
			flags.BoolVar(&w.json, "json", false, "print JSON lines")
			return withStatus(w.run)
		},
	}
}

type watching struct {
	judging
	interval      time.Duration
	notify, state string
	once, json    bool
}

// currentSystem is what NixOS runs.
const currentSystem = "/run/current-system"

func (w *watching) run(ctx context.Context, env *cli.Env, args []string) error {
	switch {
	case len(args) > 1:
		return cli.Usagef("want one PATH or FILE, got %d", len(args))
	case w.interval < minInterval:
		return cli.Usagef("--interval %v: at least %v", w.interval, minInterval)
	}
	path := currentSystem
	if len(args) == 1 {
		path = args[0]
	}
	if path == "-" {
		return cli.Usagef("standard input can be read only once: name a PATH or FILE")
	}
	for {
		told, err := w.look(ctx, env, path)
		switch {
		case ctx.Err() != nil:
			return nil
		case w.once && err == nil && told > 0:
			return cli.Exit(exitDiverged)
		case w.once || err != nil && statusOf(err) != exitInsufficient:
			return err
		case err != nil: // which may pass
			fmt.Fprintf(env.Stderr, "repronet-verify watch: %v; looking again in %v\n", err, w.interval)
		}
		select {
		case <-time.After(w.interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// look looks once, and returns how much it told.
func (w *watching) look(ctx context.Context, env *cli.Env, path string) (int, error) {
	report, list, err := w.judge(ctx, env, path)
	if err != nil {
		return 0, err
	}
	file, err := w.stateFile(path)
	if err != nil {
		return 0, err
	}
	told, err := closure.LoadTold(file)
	if err != nil {
		return 0, err
	}
	turns := told.Turns(report)
	if err := w.tell(ctx, env, turns); err != nil {
		return 0, err
	}
	err = told.Save(report)
	if list.Skipped.Count > 0 { // and is not silent about what could not be looked at
		err = errors.Join(err, fmt.Errorf("%s: %s", path, list.Skipped.Say(list.Of)))
	}
	return len(turns), err
}

// stateFile is where it is kept what was told about a path.
func (w *watching) stateFile(path string) (string, error) {
	if w.state != "" {
		return w.state, nil
	}
	_, mirror, err := w.pins()
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	return filepath.Join(mirror, "told", fmt.Sprintf("%x.json", sha256.Sum256([]byte(path)))), nil
}

// tell prints turns, and has the command tell somebody.
func (w *watching) tell(ctx context.Context, env *cli.Env, turns []closure.Turn) error {
	if len(turns) == 0 {
		return nil
	}
	var text strings.Builder
	for _, t := range turns {
		word := "mended"
		if t.Contradicted {
			word = string(t.Decision.Finding)
		}
		fmt.Fprintf(&text, "%s  %s  %s\n", word, t.Key, strings.Join(t.Decision.Reasons, "; "))
	}
	if w.json {
		for _, t := range turns {
			if err := cli.JSONLine(env.Stdout, newTold(&t)); err != nil {
				return err
			}
		}
	} else if _, err := fmt.Fprint(env.Stdout, text.String()); err != nil {
		return err
	}
	if w.notify == "" {
		return nil
	}
	command := exec.CommandContext(ctx, "sh", "-c", w.notify)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(cli.Plain(text.String())), env.Stderr, env.Stderr
	command.Env = append(os.Environ(), fmt.Sprintf("REPRONET_CHANGES=%d", len(turns)))
	if err := command.Run(); err != nil {
		return fmt.Errorf("telling by %q: %w; it is told again next time", w.notify, err)
	}
	return nil
}

// toldOutput is a line of the JSON form.
type toldOutput struct {
	verify.Output
	Contradicted bool     `json:"contradicted"`
	Finding      string   `json:"finding"`
	Installed    string   `json:"installed,omitempty"` // digest of what is there
	Reasons      []string `json:"reasons"`
}

func newTold(t *closure.Turn) *toldOutput {
	out := &toldOutput{Output: t.Output, Contradicted: t.Contradicted, Finding: string(t.Decision.Finding), Reasons: append([]string{}, t.Decision.Reasons...)}
	if t.Digest != nil {
		out.Installed = t.Digest.String()
	}
	return out
}
