package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
)

// running holds the aggregator of each script, by its directory.
var running sync.Map

func aggregatorOf(ts *testscript.TestScript) *submittest.Aggregator {
	a, ok := running.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no aggregator was started")
	}
	return a.(*submittest.Aggregator)
}

func fault(a *submittest.Aggregator, kind string) {
	a.Fail(nil)
	a.Lie(nil)
	switch kind {
	case "down":
		a.Fail(func(w http.ResponseWriter, _ *http.Request) bool {
			submittest.Refuse(w, http.StatusServiceUnavailable, "unavailable", "the aggregator is being restarted")
			return true
		})
	case "refuse":
		a.Lie(func(_ []byte, r *api.Result) {
			*r = api.Result{Problem: api.NewProblem(api.ProblemMalformed, "the clock is wrong")}
		})
	case "lie":
		a.Lie(func(_ []byte, r *api.Result) { r.Receipt.Index += 7 })
	}
}

// Scripts have besides the usual commands:
//
//	status N COMMAND …    runs a command that must end with that exit status
//	waitlock              waits until some 'run' is at work in home/
//	aggregator            starts one; $AGGREGATOR is its address, $LOGKEY its log's key
//	                      ($OTHERKEY is another log's)
//	enrol FILE            enrols a builder by its public key
//	queue on|off          has requests to be enrolled wait, or be granted at once
//	publish SET KEY …     publishes a package set
//	fault none|down|refuse|lie
//	logged N              checks how many outputs are in the log
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPRONET_REPORTER_DIR", env.WorkDir+"/home")
			env.Setenv("TZ", "UTC")
			_, other, err := note.GenerateKey(rand.Reader, "log.example/other")
			if err != nil {
				return err
			}
			env.Setenv("OTHERKEY", other)
			env.Values["t"] = env.T().(testing.TB)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":   exitStatus,
			"waitlock": waitLock,
			"aggregator": func(ts *testscript.TestScript, _ bool, _ []string) {
				a := submittest.New(ts.Value("t").(testing.TB))
				ts.Setenv("AGGREGATOR", a.URL)
				ts.Setenv("LOGKEY", a.LogKey)
				running.Store(ts.Getenv("WORK"), a)
			},
			"enrol": func(ts *testscript.TestScript, _ bool, args []string) {
				key, err := signing.ParsePublicKey([]byte(ts.ReadFile(args[0])))
				ts.Check(err)
				aggregatorOf(ts).Enrol(key)
			},
			"queue": func(ts *testscript.TestScript, _ bool, args []string) {
				aggregatorOf(ts).Queue(args[0] == "on")
			},
			"publish": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(aggregatorOf(ts).Publish(context.Background(), args[0], args[1:]...))
			},
			"fault": func(ts *testscript.TestScript, _ bool, args []string) { fault(aggregatorOf(ts), args[0]) },
			"logged": func(ts *testscript.TestScript, _ bool, args []string) {
				n := 0
				for _, v := range aggregatorOf(ts).Statements() {
					if v == nil {
						continue // an enrolment
					}
					n += len(v.Statement().Subjects)
				}
				if fmt.Sprint(n) != args[0] {
					ts.Fatalf("%d outputs are in the log, want %s", n, args[0])
				}
			},
		},
	})
}

func exitStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	status := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

func waitLock(ts *testscript.TestScript, _ bool, _ []string) {
	lock, err := os.Open(ts.MkAbs("home/spool/lock"))
	ts.Check(err)
	defer lock.Close()
	for range 500 {
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return
		}
		ts.Check(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN))
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("nobody took the lock")
}
