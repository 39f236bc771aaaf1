package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"repronet.dev/aggregator/console"
	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/internal/chdb"
)

// Console configures questions in SQL, see package console.
type Console struct {
	// Off has them answered by nobody.
	Off bool `yaml:"off"`
}

const (
	// consoleDir is where the console's workers have their directories.
	consoleDir = "console"
	// consoleShare is a worker's part of the memory that the server may use, and
	// maxConsoleMemory bounds it; there are two at most, and one that waits.
	consoleShare     = 0.08
	maxConsoleMemory = 1 << 30
)

// openConsole returns what answers questions in SQL from a snapshot, and what
// closes it. Where nothing can, the reason is what those who ask are told.
func (v *view) openConsole(newest func() (console.Snapshot, error)) (_ web.SQL, end func(), err error) {
	if v.config.Console.Off {
		return noSQL{"its operator has switched that off"}, func() {}, nil
	}
	library := v.config.Engine
	if library == "" {
		if library, err = chdb.Find(); err != nil {
			v.deps.Logger.Warn("no questions in SQL are answered", "error", err)
			return noSQL{"the engine that would is not installed"}, func() {}, nil
		}
	}
	opened, err := console.New(console.Config{
		Dir: filepath.Join(v.config.Data, consoleDir), Library: library, Logger: v.deps.Logger,
		Limits: console.Limits{Memory: int64(min(maxConsoleMemory, float64(availableMemory())*consoleShare))},
	}, newest)
	if errors.Is(err, console.ErrNoCage) {
		v.deps.Logger.Warn("no questions in SQL are answered", "error", err)
		return noSQL{"its kernel cannot keep them from the server's files"}, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return sqlConsole{opened}, opened.Close, nil
}

// newest is what questions in SQL are answered from.
func (s *snapshots) newest() (console.Snapshot, error) {
	sizes, err := s.sizes()
	if err != nil {
		return console.Snapshot{}, err
	}
	if len(sizes) == 0 {
		return console.Snapshot{}, console.ErrNoSnapshot
	}
	return console.Snapshot{Name: strconv.FormatUint(sizes[0], 10), Dir: s.path(sizes[0]), Indexed: sizes[0]}, nil
}

// A sqlConsole says in problems what is wrong with a question.
type sqlConsole struct{ console *console.Console }

// Ask implements [web.SQL].
func (s sqlConsole) Ask(ctx context.Context, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error) {
	answer, err := s.console.Ask(ctx, asked, to)
	return answer, sqlProblem(err)
}

// Next implements [web.SQL].
func (s sqlConsole) Next() (*api.SQLAnswer, error) {
	next, err := s.console.Snapshot()
	if err != nil {
		return nil, sqlProblem(err)
	}
	return &api.SQLAnswer{Snapshot: next.Name, Indexed: next.Indexed}, nil
}

// Limits implements [web.SQL].
func (s sqlConsole) Limits() string { return s.console.Limits().String() }

// sqlProblem turns the console's errors about a question into problems.
func sqlProblem(err error) error {
	refused, isSyntax := errors.AsType[*console.SyntaxError](err)
	meant, isQuery := errors.AsType[*console.QueryError](err)
	costly, isLimit := errors.AsType[*console.LimitError](err)
	switch {
	case isSyntax:
		return api.NewProblem(api.ProblemQueryRefused, fmt.Sprintf("Line %d, column %d: %s.", refused.Line, refused.Column, strings.TrimSuffix(refused.Reason, ".")))
	case isQuery:
		return api.NewProblem(api.ProblemQueryRefused, fmt.Sprintf("The engine cannot make sense of it: %s.", strings.TrimSuffix(cmp.Or(meant.Reason, "it does not say why"), ".")))
	case isLimit:
		return api.NewProblem(api.ProblemQueryTooCostly, fmt.Sprintf("The query costs too much: %s.", costly.Reason))
	case errors.Is(err, console.ErrNoSnapshot):
		return api.NewProblem(api.ProblemTryLater, "No snapshot was made yet, from which questions are answered: ask again tomorrow, or ask the operator to make one.")
	case errors.Is(err, console.ErrClosed):
		return api.NewProblem(api.ProblemTryLater, "The server stops: ask again in a moment.")
	}
	return err
}

// noSQL answers nothing, for a reason.
type noSQL struct{ reason string }

// Ask implements [web.SQL].
func (n noSQL) Ask(context.Context, api.SQLQuestion, io.Writer) (*api.SQLAnswer, error) {
	return nil, n.problem()
}

// Next implements [web.SQL].
func (n noSQL) Next() (*api.SQLAnswer, error) { return nil, n.problem() }

// Limits implements [web.SQL].
func (noSQL) Limits() string { return "none" }

func (n noSQL) problem() error {
	return api.NewProblem(api.ProblemTryLater, "This server answers no questions in SQL: "+n.reason+".")
}
