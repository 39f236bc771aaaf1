package aggregator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/internal/chdb"
	"repronet.dev/internal/redirects"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// A Check is what became of opening something that a configuration names.
type Check struct {
	Setting string `json:"setting"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"` // what is there, or what is wrong and what to do
}

// checkTimeout bounds the wait for what a configuration names elsewhere.
const checkTimeout = 10 * time.Second

// CheckConfig opens what a configuration names, each as a server would, and changes
// nothing. The configuration has to be valid.
func CheckConfig(ctx context.Context, config Config) []Check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if config.Follow != "" {
		return append(checkFollower(ctx, config), checkListen(ctx, config), checkClickHouse(ctx, config))
	}
	data, running := checkData(ctx, config)
	checks := []Check{data}
	if !running {
		checks = append(checks, checkListen(ctx, config))
	}
	checks = append(checks, checkClickHouse(ctx, config))
	if config.Admit.TrustedRoot != "" {
		policy, err := config.Admit.policy()
		checks = append(checks, checked("admit.trusted_root", err, "%s, and %d identities are admitted", config.Admit.TrustedRoot, len(policy.Rules)))
	}
	if config.Witnesses != "" {
		checks = append(checks, checkWitnesses(ctx, config.Witnesses)...)
	}
	caches := make([]string, len(config.Caches))
	for i, cache := range config.Caches {
		caches[i] = strings.TrimSuffix(cache.URL, "/") + "/nix-cache-info"
	}
	for i, err := range reach(ctx, caches) {
		checks = append(checks, checked("caches", err, "%s answers", config.Caches[i].URL))
	}
	mail, err := config.Notify.SMTP.mail()
	switch {
	case err != nil:
		checks = append(checks, checked("notify.smtp.password_file", err, ""))
	case mail != nil:
		checks = append(checks, checked("notify.smtp.host", mail.Check(ctx), "%s takes mail at port %d", mail.Host, mail.Port))
	}
	return checks
}

// checked is a check that went well, or not.
func checked(setting string, err error, format string, args ...any) Check {
	if err != nil {
		if wrong, ok := errors.AsType[*SettingError](err); ok {
			return Check{setting, false, wrong.Reason}
		}
		return Check{setting, false, err.Error()}
	}
	return Check{setting, true, fmt.Sprintf(format, args...)}
}

// checkFollower looks at a follower's data directory, and at what it is to follow.
func checkFollower(ctx context.Context, config Config) []Check {
	data := checked("data", canMake(config.Data), "%s can hold a copy of the ledger", config.Data)
	if origin, err := Origin(config.Data); err == nil {
		data = Check{"data", false, fmt.Sprintf("%s has the ledger %s of its own: give the follower another directory", config.Data, origin)}
	}
	checkpoint, err := shown(ctx, config)
	if err != nil {
		return []Check{data, checked("follow", err, "")}
	}
	return []Check{data, checked("follow", nil, "%s shows the ledger %s with %d entries", config.Follow, checkpoint.Origin, checkpoint.Size)}
}

// shown asks for the state of the ledger that is to be followed.
func shown(ctx context.Context, config Config) (*ledger.Checkpoint, error) {
	key, err := note.NewVerifier(config.LogKey)
	if err != nil {
		return nil, err
	}
	client, err := api.Dial(config.Follow, checkTimeout)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return ledger.NewReader(client.Log(), key).Checkpoint(ctx)
}

// checkData looks at the data directory, and whether a server has it open.
func checkData(ctx context.Context, config Config) (check Check, running bool) {
	origin, err := Origin(config.Data)
	switch {
	case errors.Is(err, ErrFollower):
		return checked("data", err, ""), false
	case errors.Is(err, ErrNoLedger) && config.Origin == "":
		return Check{"data", false, fmt.Sprintf("%s has no ledger: name the one to found with origin, or another directory", config.Data)}, false
	case errors.Is(err, ErrNoLedger):
		return checked("data", canMake(config.Data), "%s has no ledger; the server would found %s there", config.Data, config.Origin), false
	case err != nil:
		return checked("data", err, ""), false
	case config.Origin != "" && config.Origin != origin:
		return Check{"origin", false, fmt.Sprintf("%s has the ledger %q, not %q: an origin cannot change", config.Data, origin, config.Origin)}, false
	}
	if err := syscall.Access(config.Data, 2|1); err != nil { // W_OK, X_OK
		return Check{"data", false, fmt.Sprintf("%s has the ledger %s, and this user may not write there: run this as the server's user", config.Data, origin)}, false
	}
	if _, err := admin.Dial(ctx, SocketPath(config.Data)); err == nil {
		return Check{"data", true, fmt.Sprintf("%s has the ledger %s, and a server runs on it", config.Data, origin)}, true
	}
	return Check{"data", true, fmt.Sprintf("%s has the ledger %s", config.Data, origin)}, false
}

// canMake reports whether a directory could be made, or written to.
func canMake(dir string) error {
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is no directory", dir)
		}
		if err == nil {
			if err := syscall.Access(dir, 2|1); err != nil {
				return fmt.Errorf("this user may not write to %s: make the data directory and give it to the server's user", dir)
			}
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		dir = filepath.Dir(dir)
	}
}

func checkListen(ctx context.Context, config Config) Check {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return checked("listen", cannotListen(config.Listen, err), "")
	}
	return checked("listen", l.Close(), "%s is free", config.Listen)
}

// checkClickHouse asks the configured ClickHouse, or the embedded engine on a directory of
// its own, for its version.
func checkClickHouse(ctx context.Context, config Config) (check Check) {
	setting, name := "engine", "the embedded engine"
	var options *clickhouse.Options
	if config.ClickHouse != "" {
		var err error
		setting, name = "clickhouse", "the server"
		if options, err = clickHouseServer(config.ClickHouse); err != nil {
			return checked(setting, err, "")
		}
		options.Auth.Database = "" // the index's is made when it is opened
	} else {
		dir, err := os.MkdirTemp("", "repronet-check-")
		if err != nil {
			return checked(setting, err, "")
		}
		defer func() { _ = os.RemoveAll(dir) }()
		engine, err := chdb.Open(ctx, chdb.Config{Library: config.Engine, Path: dir})
		if err != nil {
			return checked(setting, err, "")
		}
		defer func() {
			if err := engine.Close(); err != nil && check.OK {
				check = checked(setting, err, "")
			}
		}()
		options = engine.Options("")
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return checked(setting, err, "")
	}
	var version string
	err = errors.Join(conn.QueryRow(ctx, "SELECT version()").Scan(&version), conn.Close())
	return checked(setting, err, "%s is ClickHouse %s", name, version)
}

func checkWitnesses(ctx context.Context, path string) []Check {
	text, err := os.ReadFile(path)
	if err != nil {
		return []Check{checked("witnesses", err, "")}
	}
	policy, err := writer.ParseWitnesses(text)
	if err != nil {
		return []Check{checked("witnesses", fmt.Errorf("%s: %w", path, err), "")}
	}
	checks := []Check{checked("witnesses", nil, "%s names %d witnesses", path, len(policy.Witnesses))}
	addresses := make([]string, len(policy.Witnesses))
	for i, w := range policy.Witnesses {
		addresses[i] = w.URL
	}
	for i, err := range reach(ctx, addresses) {
		checks = append(checks, checked("witnesses", err, "witness %s answers at %s", policy.Witnesses[i].Name, addresses[i]))
	}
	return checks
}

// reach asks web addresses for anything, all at once, and returns what went wrong with
// each. A status that is not a success is an answer too, a redirect among them: a witness has
// nothing to get.
func reach(ctx context.Context, addresses []string) []error {
	client := &http.Client{CheckRedirect: redirects.None}
	errs := make([]error, len(addresses))
	var asking sync.WaitGroup
	for i, address := range addresses {
		asking.Go(func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				errs[i] = err
				return
			}
			response, err := client.Do(request)
			if wrapped, ok := errors.AsType[*url.Error](err); ok {
				err = wrapped.Err
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s does not answer: %w", address, err)
				return
			}
			_, _ = io.CopyN(io.Discard, response.Body, 1<<10)
			errs[i] = response.Body.Close()
		})
	}
	asking.Wait()
	return errs
}
