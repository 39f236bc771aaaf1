package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// Config says what to witness.
type Config struct {
	// KeyFile holds the witness's key, one line. KeyFile.logs beside it is the
	// directory of the states.
	KeyFile string
	// Name is of a key that is made if there is none; "" to make none.
	Name string
	// Logs are the keys of the logs to cosign, as golang.org/x/mod/sumdb/note
	// writes them.
	Logs []string
	// Logger is told of refusals that convict a log or its operator's backups.
	Logger *slog.Logger
}

// A Witness is open. It may be used from several goroutines.
type Witness struct {
	logger *slog.Logger
	signer *ledger.WitnessSigner
	lock   *os.File
	logs   map[string]*log // by origin
}

// log is one log that is witnessed.
type log struct {
	key  note.Verifier
	path string // of the state

	mu   sync.Mutex         // guards last and the file
	last *ledger.Checkpoint // that was cosigned; nil: none
}

// ErrLocked is what [Open] wraps if another process uses the key.
var ErrLocked = errors.New("another process is this witness")

// Open opens a witness.
func Open(config Config) (w *Witness, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening witness: %w", err)
		}
	}()
	states := config.KeyFile + ".logs"
	signer, err := loadOrCreateKey(config.KeyFile, config.Name, states)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(states, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(states, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, err
	}
	w = &Witness{logger: config.Logger, signer: signer, lock: lock, logs: map[string]*log{}}
	if len(config.Logs) == 0 {
		return nil, errors.New("no log is named")
	}
	for _, vkey := range config.Logs {
		l, err := openLog(states, vkey)
		if err != nil {
			return nil, err
		}
		if _, twice := w.logs[l.key.Name()]; twice {
			return nil, fmt.Errorf("two keys are given for the log %s", l.key.Name())
		}
		w.logs[l.key.Name()] = l
	}
	return w, nil
}

func openLog(states, vkey string) (*log, error) {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("log key %.200q: %w", vkey, err)
	}
	origin := sha256.Sum256([]byte(key.Name())) // an origin can have slashes
	l := &log{key: key, path: filepath.Join(states, hex.EncodeToString(origin[:]))}
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if l.last, err = ledger.OpenCheckpoint(text, key); err != nil {
		return nil, fmt.Errorf("reading what was cosigned of the log %s last, from %s: %w", key.Name(), l.path, err)
	}
	return l, nil
}

// loadOrCreateKey makes no key where states of another one are.
func loadOrCreateKey(path, name, states string) (*ledger.WitnessSigner, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && name != "" {
		if _, err := os.Stat(states); err == nil {
			return nil, fmt.Errorf("%s is not there, but what it cosigned is in %s: restore it, or begin with a new --key", path, states)
		}
		return createKey(path, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s (mode %04o): anybody who did can cosign in your name; if nobody has, run: chmod 600 %s", path, mode, path)
	}
	signer, err := ledger.ParseWitnessSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading key from %s: %w", path, err)
	}
	return signer, nil
}

func createKey(path, name string) (*ledger.WitnessSigner, error) {
	signer, err := ledger.NewWitnessSigner(name)
	if err != nil {
		return nil, err
	}
	return signer, durable.WriteFile(path, []byte(signer.Secret()+"\n"), 0o600)
}

// Key is the witness's public key: what others pin.
func (w *Witness) Key() string { return w.signer.String() }

// Close gives the witness up.
func (w *Witness) Close() error { return w.lock.Close() }

// Refusals, by what the specification answers.
var (
	errUnknownLog = errors.New("this witness does not know the log")
	errNotSigned  = errors.New("the log's key did not sign the checkpoint")
	errMalformed  = errors.New("not a request to add a checkpoint")
	errForked     = errors.New("another tree of this size was cosigned")
	errUnproven   = errors.New("the proof does not lead from the cosigned tree to this one")
)

// sizeError says at which size the witness is.
type sizeError uint64

func (e sizeError) Error() string {
	return fmt.Sprintf("the tree that was cosigned last has %d entries", uint64(e))
}

// add returns the cosignature of a checkpoint if it continues what was cosigned.
func (w *Witness) add(ctx context.Context, r *request) ([]byte, error) {
	origin, _, _ := strings.Cut(string(r.checkpoint), "\n")
	l, ok := w.logs[origin]
	if !ok {
		return nil, errUnknownLog
	}
	c, err := ledger.OpenCheckpoint(r.checkpoint, l.key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSigned, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(c, r.old, r.proof); err != nil {
		w.logger.WarnContext(ctx, "checkpoint refused", "log", origin, "size", c.Size, "old", r.old, "reason", err)
		return nil, err
	}
	if err := durable.WriteFile(l.path, c.Text, 0o600); err != nil {
		return nil, fmt.Errorf("keeping the checkpoint: %w", err)
	}
	l.last = c
	return w.signer.Cosign(c, time.Now()), nil
}

// check is called with the lock held.
func (l *log) check(c *ledger.Checkpoint, old uint64, proof []tlog.Hash) error {
	var size uint64
	if l.last != nil {
		size = l.last.Size
	}
	switch {
	case old > c.Size:
		return fmt.Errorf("%w: a tree of %d entries cannot continue one of %d", errMalformed, c.Size, old)
	case old != size:
		return sizeError(size)
	case c.Size == 0 && c.Root != tlog.Hash(sha256.Sum256(nil)): // RFC 6962, section 2.1
		return errForked
	case old == 0:
		if len(proof) > 0 {
			return fmt.Errorf("%w: nothing is to be proven from 0 entries", errMalformed)
		}
		return nil
	case old == c.Size && l.last.Root != c.Root:
		return errForked
	}
	if err := tlog.CheckTree(proof, int64(c.Size), c.Root, int64(old), l.last.Root); err != nil {
		return fmt.Errorf("%w: %w", errUnproven, err)
	}
	return nil
}
