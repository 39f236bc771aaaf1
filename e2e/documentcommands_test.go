package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentedCommands runs each command of the documents as it is printed, in their
// order, on fresh machines. What a document cannot know (addresses, keys, IDs of
// builders) is put in the place of its example. A command without a line in the table
// below fails the test, and so does a line whose command is in no document any more.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	d := newDocuments(t)
	printed := map[string][]string{}
	for _, document := range documentFiles(t) {
		printed[document] = commandsOfDocument(t, document)
	}
	for _, c := range documentedCommands() {
		at := slices.Index(printed[c.in], c.line)
		if at < 0 {
			t.Errorf("%s has no command %q any more", c.in, c.line)
			continue
		}
		printed[c.in] = slices.Delete(printed[c.in], at, at+1)
		if c.by == "" {
			d.run(&c)
		}
	}
	for document, lines := range printed {
		for _, line := range lines {
			t.Errorf("nothing runs a command of %s: %q", document, line)
		}
	}
}

// TestDocumentedElsewhere: what another test is said to run, it takes from the document.
func TestDocumentedElsewhere(t *testing.T) {
	t.Parallel()
	tests := testsOf(t, ".")
	for _, c := range documentedCommands() {
		switch test := tests[c.by]; {
		case c.by == "":
		case strings.HasPrefix(c.by, "."): // what a machine runs before a change lands
			if text, err := os.ReadFile(filepath.Join("..", c.by)); err != nil || !slices.Contains(strings.Split(string(text), "\n"), c.line) {
				t.Errorf("%s does not have the line %q (%v)", c.by, c.line, err)
			}
		case test == nil:
			t.Errorf("there is no test %s to run %q", c.by, c.line)
		case len(test["commandsFor"]) > 0:
		case !slices.ContainsFunc(test["follow"], func(title string) bool { return slices.Contains(chapter(t, title), c.line) }):
			t.Errorf("%s does not take %q from the document", c.by, c.line)
		}
	}
}

// testsOf returns of each test in a directory, whatever its build tags are, which
// functions it calls, with the text that is their last argument.
func testsOf(t *testing.T, dir string) map[string]map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[string][]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = callsIn(f.Body)
			}
		}
	}
	return tests
}

func callsIn(body ast.Node) map[string][]string {
	calls := map[string][]string{}
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, text := "", ""
		switch f := call.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		if len(call.Args) > 0 {
			if literal, ok := call.Args[len(call.Args)-1].(*ast.BasicLit); ok {
				text, _ = strconv.Unquote(literal.Value) // "" of what is no text
			}
		}
		calls[name] = append(calls[name], text)
		return true
	})
	return calls
}

// commandsFor returns the commands that a test runs in the place of
// TestDocumentedCommands, as the documents print them.
func commandsFor(t *testing.T) (lines []string) {
	t.Helper()
	for _, c := range documentedCommands() {
		if c.by == t.Name() {
			if !slices.Contains(commandsOfDocument(t, c.in), c.line) {
				t.Errorf("%s has no command %q any more", c.in, c.line)
			}
			lines = append(lines, c.line)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("no command of the documents is for %s", t.Name())
	}
	return lines
}

// documentFiles returns the documents for users: first those with commands, in the order
// in which they are followed.
func documentFiles(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "docs/operators.md", "docs/volunteers.md", "docs/checking.md", "docs/policy.md", "docs/formats.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		for _, file := range found {
			if file = strings.TrimPrefix(file, "../"); !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files
}

var (
	commandBegins = regexp.MustCompile(`^(\$ |sudo |apt-get |runuser |systemctl |repronet-(aggregator|reporter|verify) |make |go |curl |nix |nix-[a-z-]+ |cosign |openssl )`)
	commentAfter  = regexp.MustCompile(`\s{2,}# .*$`)
)

// commandsOfDocument returns the commands in blocks of code, each as one line: without the
// comment behind it, and with the lines that go on from it.
func commandsOfDocument(t *testing.T, document string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", document))
	if err != nil {
		t.Fatal(err)
	}
	fenced, goesOn := false, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			continue
		}
		line = strings.TrimSpace(commentAfter.ReplaceAllString(line, ""))
		if !goesOn && !commandBegins.MatchString(line) {
			continue
		}
		part, more := strings.CutSuffix(line, `\`)
		if goesOn {
			commands[len(commands)-1] += " " + strings.TrimSpace(part)
		} else {
			commands = append(commands, strings.TrimSpace(part))
		}
		goesOn = more
	}
	return commands
}

// blockOfDocument returns the block of code that begins with a line.
func blockOfDocument(t *testing.T, document, first string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", document))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n    "+first+"\n")
	if !found {
		t.Fatalf("%s has no block that begins with %q", document, first)
	}
	block := first + "\n"
	for line := range strings.Lines(rest) {
		code, more := strings.CutPrefix(line, "    ")
		if !more {
			break
		}
		block += code
	}
	return block
}

// A documented command is one that a document prints.
type documented struct {
	in, line string
	// by is the test that runs it instead, from its document; or the file that does.
	by string
	// before prepares what the document takes for granted.
	before func(d *documents)
	// replace has pairs of what is an example and what is put in its place.
	replace []string
	status  int
	// until has the command run until it says this, where it goes on by itself; "-" for some
	// seconds, where it says nothing while all is well.
	until string
	// says is a pattern of what it says.
	says string
	// asks has a person answer what it asks.
	asks bool
	// alone has the command find each port free, and fresh a machine with nothing on it.
	alone, fresh bool
}

// documentedCommands is the table of all of them.
func documentedCommands() []documented {
	const clone, restore = "TestFreshClone", "TestRestore"
	const hookLine = `post-build-hook = /etc/nix/repronet-post-build-hook`
	const readme, operators, volunteers, checking, maintainers, research, sql = "README.md", "docs/operators.md", "docs/volunteers.md", "docs/checking.md", "docs/maintainers.md", "docs/research.md", "docs/research-sql.md"
	const pullRequest = "TestPullRequest"
	const installed = "TestInstalled" // make test-packages
	return []documented{
		{in: readme, line: "make run", by: clone},
		{in: readme, line: "make test", by: ".ci/run"},
		{in: readme, line: "repronet-reporter init --aggregator https://repro.example.org --operator alice --sets nixos-unstable", asks: true, says: `(?s)Reports +outputs of nixos-unstable.*enrol`},
		{in: readme, line: "sudo repronet-reporter hook install --dir ~/.local/state/repronet-reporter", replace: []string{"sudo ", "env -u REPRONET_REPORTER_DIR "}, says: hookLine},
		{in: readme, line: "repronet-reporter enrol --contact alice@example.org", says: `State +pending`},
		{in: readme, line: "repronet-reporter run", until: "-"},
		{in: readme, line: "repronet-reporter exec --build alice/tool-1.0 --output bin=./tool -- make", before: (*documents).writeMakefile, says: `  alice/tool-1.0\^bin`},
		{in: readme, line: "repronet-reporter rebuild --suggested 20 --schedule '0 1-6 * * *'", until: "the next builds are made at"},
		{in: readme, line: "curl https://repro.example.org/api/v1/summary", says: `"observations"`},
		{in: readme, line: "repronet-verify pin --aggregator https://repro.example.org", asks: true, says: `(?s)bob.*carol.*pinned in`},
		{in: readme, line: "repronet-verify output /nix/store/…-hello-2.12.1 --quorum 2", says: `reproduced`},
		{in: maintainers, line: "repronet-verify difference /nix/store/…-hello-2.12.1", status: 2, says: "there is nothing to compare"},
		{in: readme, line: "repronet-verify closure /run/current-system --policy policy.yaml", before: (*documents).writePolicy, replace: []string{"/run/current-system", "closure.txt"}, says: `hello-2\.12\.1|1 `},
		{in: readme, line: "repronet-verify compare base.jsonl head.jsonl --policy policy.yaml", before: (*documents).writeEvaluations, says: "^1 outputs compared: 0 regressed, 0 fixed, 0 still diverged, 1 unchanged"},
		{in: readme, line: "repronet-verify promote --from stable@ --to testing@ --policy policy.yaml", before: (*documents).publishEvaluations, status: 2, says: "waits  new  zsh .*\n.* 1 block the promotion"},
		{in: readme, line: "repronet-verify gate --upstream https://cache.example.org --policy policy.yaml", alone: true, until: "serving on http://"},
		{in: readme, line: "repronet-verify replay --aggregator https://repro.example.org", says: "identical"},
		{in: readme, line: "repronet-verify monitor", until: "-"},
		{in: readme, line: "repronet-verify witness --key w.key --name witness.example.org --log KEY", replace: []string{"KEY", "$KEY"}, alone: true, until: "http://"},
		{in: readme, line: "repronet-aggregator serve --data /var/lib/repronet-aggregator --origin repro.example.org/2026", alone: true, fresh: true, until: "http://"},
		{in: readme, line: "repronet-aggregator builders pending", says: ` alice .*alice@example\.org`},
		{in: readme, line: "repronet-aggregator sets publish nixos-unstable --revision 5b35d24 --from closure.txt", says: "published nixos-unstable at revision 5b35d24: 1 output"},

		{in: operators, line: "make build engine", by: clone},
		{in: operators, line: "repronet-aggregator serve --data /var/lib/repronet-aggregator --listen 127.0.0.1:8080 --origin repro.example.org/2026", alone: true, fresh: true, until: "http://127.0.0.1:8080"},
		{in: operators, line: "curl -fsS https://repro.example.org/log/key > log.pub", says: "^$"},
		{in: operators, line: `repronet-aggregator serve --data /var/lib/repronet-follower --listen 127.0.0.1:8090 --follow https://repro.example.org --log-key "$(cat log.pub)"`, replace: []string{"/var/lib/repronet-follower", "follower", "127.0.0.1:8090", "127.0.0.1:0"}, until: "http://"},
		{in: operators, line: "repronet-aggregator builders pending", says: ` alice .*alice@example\.org`},
		{in: operators, line: "repronet-aggregator builders approve BUILDER", before: (*documents).nameAlice, says: "enrolled builder .* of operator alice, tier counted"},
		{in: operators, line: "repronet-aggregator builders reject BUILDER --reason 'write to us first'", before: (*documents).anotherAsks, says: "refused builder"},
		{in: operators, line: "repronet-aggregator builders reject --all-older-than 240h --reason 'ask again'", says: "refused 0 builders"},
		{in: operators, line: "repronet-aggregator builders vouch OPERATOR", before: (*documents).enrolOpen, says: "frank"},
		{in: operators, line: "repronet-aggregator builders enrol --key alice.pem --operator alice", before: (*documents).writeKey, says: "enrolled builder .* of operator alice"},
		{in: operators, line: "repronet-aggregator builders enrol --operator org --trusted-root trusted_root.json --sigstore-issuer https://token.actions.githubusercontent.com --sigstore-repository https://github.com/org/repo --sigstore-subject https://github.com/org/repo/.github/workflows/rebuild.yml@refs/heads/main", before: (*documents).writeTrustedRoot, says: "enrolled builder .* of operator org"},
		{in: operators, line: "repronet-aggregator builders revoke BUILDER --reason 'key lost'", before: (*documents).nameFrank, says: "revoked builder"},
		{in: operators, line: "repronet-aggregator builders revoke BUILDER --from 1200 --reason 'was not independent'", before: (*documents).nameFrank, replace: []string{"1200", "0"}, says: "revoked builder"},
		{in: operators, line: "repronet-aggregator sets publish nixos-unstable --revision 5b35d25 --from jobs.jsonl", before: (*documents).writeJobs, says: "published nixos-unstable at revision 5b35d25: 2 outputs"},
		{in: operators, line: "repronet-aggregator sets list --all", says: `(?s)5b35d24.*5b35d25`},
		{in: operators, line: "repronet-aggregator reindex", says: "the new index is in use"},
		{in: operators, line: "repronet-aggregator subscriptions add --set nixos-unstable --webhook https://chat.example.org/hook", says: "(?s)added subscription .*secret, which is not shown again: whsec_"},
		{in: operators, line: "repronet-aggregator subscriptions add --maintainer anna --email anna@example.org --daily", says: "once anna@example.org confirms it"},
		{in: operators, line: "repronet-aggregator subscriptions list", says: `(?s) active +set nixos-unstable .* unconfirmed +maintainer anna +regressed,diverged,fixed daily +anna@example\.org`},
		{in: operators, line: "repronet-aggregator subscriptions test ID", before: (*documents).nameSubscription, replace: []string{"ID", "$SUBSCRIPTION"}, says: "asked anna@example.org once more"},
		{in: operators, line: "repronet-aggregator subscriptions remove ID", replace: []string{"ID", "$SUBSCRIPTION"}, says: "removed subscription .* to anna@example.org"},
		{in: operators, line: "repronet-aggregator builders import-openpgp --project bitcoin-core ~/guix.sigs", before: (*documents).writeSigs, says: "1 certificates enrolled for bitcoin-core"},
		{in: operators, line: "repronet-aggregator builders enrol --operator nixos-cache --nix-key cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=", says: "of operator nixos-cache"},
		{in: operators, line: "repronet-reporter relay guix-sigs --project bitcoin-core --aggregator https://repro.example.org ~/guix.sigs", says: "1 accepted"},
		{in: operators, line: "repronet-reporter relay gitian --project bitcoin-core --aggregator https://repro.example.org ~/gitian.sigs", before: (*documents).writeGitian, status: 1, says: "[1-9][0-9]* accepted"},
		{in: operators, line: "repronet-reporter relay narinfo --aggregator https://repro.example.org https://cache.nixos.org /nix/store/…-hello-2.12.1", before: (*documents).serveCache, replace: []string{"https://cache.nixos.org", "$CACHE"}, says: "1 accepted"},
		{in: operators, line: "repronet-aggregator snapshot", says: `snapshot of the first [0-9]+ ledger entries: [0-9]+ bytes at /data/snapshots/`},
		{in: operators, line: "repronet-aggregator erase 5f1c… --reason 'asked for by the person' --yes", replace: []string{"5f1c…", "$DAVE"}, says: "erased attachment"},
		{in: operators, line: "repronet-aggregator ledger check", says: "."},
		{in: operators, line: "repronet-aggregator ledger repair", before: (*documents).stop, says: "."},
		{in: operators, line: "repronet-aggregator ledger repair --from /mnt/mirror/log", replace: []string{"/mnt/mirror/log", "copy"}, before: (*documents).copyLedger, says: "."},
		{in: operators, line: "repronet-aggregator ledger repair --accept-loss", says: "."},
		{in: operators, line: "repronet-aggregator backup /backup/repronet-aggregator", by: restore},
		{in: operators, line: "systemctl stop repronet-aggregator", by: restore},
		{in: operators, line: "systemctl start repronet-aggregator", by: restore},
		{in: operators, line: "systemctl stop repronet-aggregator", by: restore},
		{in: operators, line: "systemctl start repronet-aggregator", by: restore},
		{in: operators, line: "repronet-aggregator restore /backup/repronet-aggregator", by: restore},
		{in: operators, line: "repronet-verify pin --yes --aggregator https://repro.example.org", by: restore},
		{in: operators, line: "repronet-verify replay --mirror /tmp/restored --aggregator https://repro.example.org", by: restore},
		{in: operators, line: "repronet-aggregator version", by: restore},
		{in: operators, line: "repronet-aggregator serve --check", by: restore},
		{in: operators, line: "repronet-verify pin --yes --aggregator https://repro.example.org", by: restore},
		{in: operators, line: "repronet-verify replay --mirror /tmp/upgraded --aggregator https://repro.example.org", by: restore},

		{in: volunteers, line: "repronet-reporter init --aggregator https://repro.example.org --sets nixos-unstable --operator alice", before: (*documents).restart, asks: true, says: `(?s)Reports +outputs of nixos-unstable.*enrol`},
		{in: volunteers, line: "repronet-reporter enrol --statement > request.json", says: ""},
		{in: volunteers, line: "cosign attest-blob --statement request.json --bundle identity.json", by: "TestSigstoreJoining"},
		{in: volunteers, line: "repronet-reporter enrol --identity identity.json", before: (*documents).signRequest, says: `(?s)State +enrolled.*open`},
		{in: volunteers, line: "apt-get install -y ./dist/repronet-reporter_0.2.0_amd64.deb", by: installed},
		{in: volunteers, line: "runuser -u repronet-reporter -- repronet-reporter init --dir /var/lib/repronet-reporter --aggregator https://repro.example.org --operator alice --sets nixos-unstable", by: installed},
		{in: volunteers, line: "runuser -u repronet-reporter -- repronet-reporter enrol --dir /var/lib/repronet-reporter --contact alice@example.org", by: installed},
		{in: volunteers, line: "repronet-reporter hook install --dir /var/lib/repronet-reporter", by: installed},
		{in: volunteers, line: "systemctl enable --now repronet-reporter", by: installed},
		{in: volunteers, line: "repronet-reporter hook install", says: hookLine},
		{in: volunteers, line: "repronet-reporter collect debian ../hello_2.10-3_amd64.changes", before: (*documents).buildDebianHello, says: `hello@2\.10-3/amd64\^hello_2\.10-3_amd64\.deb`},
		{in: volunteers, line: "repronet-reporter rebuild hello-2.12.1", before: (*documents).instantiateHello, says: "(?s)reproduced.*2 builds recorded"},
		{in: volunteers, line: "repronet-reporter rebuild --suggested 20 --schedule '0 1-6 * * *' --timeout 1h", until: "the next builds are made at"},
		{in: volunteers, line: "repronet-reporter init --aggregator https://repro.example.org --report all --consent-cc0 --operator org --key sigstore:signing_config.json", before: (*documents).startJob, says: `Signs by +the identity of whoever runs it`},
		{in: volunteers, line: "repronet-reporter exec --build org/hello-1.2 --output hello=./hello -- make hello", before: (*documents).writeMakefile, says: `  org/hello-1.2\^hello`},
		{in: volunteers, line: "repronet-reporter run --once", says: "^1 statements acknowledged"},
		{in: volunteers, line: "repronet-reporter withdraw /nix/store/…-hello-2.12.1 --reason 'the disk was broken'", before: (*documents).enrolAlice, says: "hello-2.12.1"},
		{in: volunteers, line: "repronet-reporter withdraw --statement 4711 --reason 'patched compiler'", before: (*documents).attestAgain, replace: []string{"4711", "$STATEMENT"}, says: "hello-2.12.1"},
		{in: volunteers, line: "repronet-reporter rotate", before: (*documents).attestAgain, says: "State +enrolled"},
		{in: volunteers, line: "repronet-reporter rotate --revoke", before: (*documents).withdrawFormer, says: "State +enrolled"},
		{in: volunteers, line: "repronet-reporter doctor", says: `(?s)ok +enrolment +enrolled as alice`},
		{in: volunteers, line: "repronet-reporter init --manifests no", says: `Reports +outputs of`},
		{in: volunteers, line: "repronet-reporter status", says: "Waiting "},
		{in: volunteers, line: "repronet-reporter uninstall", before: (*documents).installHook, asks: true, says: `/etc/nix/repronet-post-build-hook is not there any more`},

		{in: maintainers, line: "repronet-verify compare base.jsonl head.jsonl --policy policy.yaml", by: pullRequest},
		{in: maintainers, line: "repronet-verify pin --config pins.json --aggregator https://repro.example.org", by: pullRequest},
		{in: maintainers, line: "nix-eval-jobs --meta ../base/release.nix > base.jsonl", by: pullRequest},
		{in: maintainers, line: "nix-eval-jobs --meta release.nix > head.jsonl", by: pullRequest},
		{in: maintainers, line: "repronet-verify compare base.jsonl head.jsonl --config pins.json --policy policy.yaml --markdown > comment.md || status=$?", by: pullRequest},
		{in: maintainers, line: "repronet-verify promote --from stable@ --to testing@ --policy policy.yaml", by: pullRequest},

		{in: checking, line: "openssl genpkey -algorithm ed25519 -out verifier.pem", before: (*documents).pinFriends},
		{in: checking, line: "repronet-verify vsa /nix/store/…-hello-2.12.1 --policy policy.yaml --key verifier.pem --verifier https://example.org/verifier --out hello.vsa.json", before: (*documents).writePolicy, says: "^$"},
		{in: checking, line: `go run ./e2e/xmod "$(cat log.key.pub)" conviction.json`, before: (*documents).forkLog, says: "the log signed two histories"},
		{in: research, line: "repronet-verify pin --yes --aggregator https://repro.example.org", before: (*documents).makeSnapshot, says: "pinned in"},
		{in: research, line: "repronet-verify snapshot mine --aggregator https://repro.example.org", says: "^mine: the first [0-9]+ entries of "},
		{in: research, line: "curl -fsS https://repro.example.org/api/v1/snapshots", says: `"path":"/data/snapshots/`},
		{in: research, line: "curl -fsS --create-dirs --output-dir data --remote-name-all https://repro.example.org/data/snapshots/SIZE/{SHA256SUMS,SHA256SUMS.note,checkpoint}", replace: []string{"SIZE", "$SIZE"}, says: "^$"},
		{in: research, line: "curl -fsS https://repro.example.org/data/snapshots/SIZE/SHA256SUMS | cut -c67- | xargs -I{} curl -fsS --create-dirs -o data/{} https://repro.example.org/data/snapshots/SIZE/{}", replace: []string{"SIZE", "$SIZE"}, says: "^$"},
		{in: research, line: "repronet-verify replay --snapshot data --aggregator https://repro.example.org", says: "^proven: every byte of data follows"},
		{in: research, line: "repronet-verify rows mine changes > changes.csv", says: "^$"},
		{
			in: sql, line: `curl -fsS --get https://repro.example.org/api/v1/sql --data-urlencode "q=SELECT verdict, count() AS outputs FROM verdicts GROUP BY verdict ORDER BY verdict"`,
			says: `"meta":(?s).*"data":(?s).*"reproduced"|"single"|"diverged"`,
		},
		{
			in: sql, line: `curl -fsS "https://repro.example.org/api/v1/sql?format=csv" -H 'Content-Type: application/sql' --data-binary @question.sql`,
			replace: []string{"@question.sql", "'SELECT count() AS n FROM builders'"}, says: "^\"n\"\n[1-9]",
		},
		{in: "docs/formats.md", line: `$ printf 'nix\0/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.1' | sha256sum | cut -c1-40`, replace: []string{"$ ", ""}, says: "^[0-9a-f]{40}\n$"},
	}
}
