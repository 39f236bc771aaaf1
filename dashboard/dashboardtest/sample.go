package dashboardtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
)

// Sample is a scenario as an aggregator sees it in its first two months, ending
// now: eight operators, packages that reproduce, and each kind of divergence.
func Sample(now time.Time) *Scenario {
	s := &sampler{random: rand.New(rand.NewPCG(1, 2)), start: now.Add(-60 * 24 * time.Hour), now: now}
	s.Builders = []Builder{
		{"alder", "alder", enrolment.Counted},
		{"birch", "birch-labs", enrolment.Counted},
		{"birch-arm", "birch-labs", enrolment.Counted},
		{"cedar", "cedar", enrolment.Counted},
		{"dogwood", "dogwood-university", enrolment.Counted},
		{"elm", "elm", enrolment.Counted},
		{"fir", "fir-hosting", enrolment.Counted},
		{"hazel", "hazel", enrolment.Open},
	}
	s.publish("nixos-minimal", "26.05.1820")
	s.build()
	slices.SortStableFunc(s.Entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return &s.Scenario
}

type sampler struct {
	Scenario
	random     *rand.Rand
	start, now time.Time
}

func packages() []string {
	return []string{
		"hello-2.12.1", "bash-5.3", "coreutils-9.8", "gnugrep-3.12", "gnused-4.9", "gawk-5.3.2", "findutils-4.10.0", "gzip-1.14",
		"xz-5.8.1", "bzip2-1.0.8", "zlib-1.3.1", "openssl-3.5.4", "curl-8.16.0", "sqlite-3.50.4", "nftables-1.1.5", "bcachefs-tools-1.31.2",
		"systemd-258.2", "util-linux-2.41.2", "linux-6.17.8", "dbus-1.16.2", "e2fsprogs-1.47.3", "iproute2-6.17.0", "kmod-34.2", "less-685",
		"man-db-2.13.1", "nano-8.7", "ncurses-6.5", "openssh-10.2p1", "pcre2-10.46", "perl-5.42.0", "procps-4.0.5", "python3-3.13.9",
		"readline-8.3", "rsync-3.4.1", "shadow-4.18.0", "strace-6.17", "sudo-1.9.17p2", "tzdata-2025b", "which-2.23", "ghc-9.10.3-doc",
		"texlive-2025-final-with-a-very-long-name-that-somebody-thought-was-a-good-idea-at-the-time-and-nobody-ever-shortened",
	}
}

func (s *sampler) publish(name, revision string) {
	set := &Set{Name: name, Revision: revision, Ecosystem: "nix"}
	for i, p := range packages() {
		m := Member{Key: Out(p, ""), Attribute: "pkgs." + p[:min(5, len(p))], Version: "1", System: "x86_64-linux", Maintainers: []string{[]string{"ada", "grace", "linus"}[i%3]}}
		if p == "nftables-1.1.5" {
			m.Inputs = []string{Out("linux-6.17.8", ""), Out("ncurses-6.5", ""), Out("readline-8.3", "")}
		}
		set.Members = append(set.Members, m)
	}
	for i := range 22 {
		set.Members = append(set.Members, Member{Key: Out(fmt.Sprintf("unbuilt-%d", i), ""), System: "x86_64-linux"})
	}
	s.Entries = append(s.Entries, Entry{At: s.start.Add(time.Hour), Set: set})
}

func environmentOf(builder string) map[string]string {
	e := map[string]string{"system": "x86_64-linux", "sandbox": "true", "locale": "C.UTF-8", "umask": "022", "tz": "+00:00", "buildDir": "default"}
	for name, values := range map[string]map[string]string{
		"nix":        {"alder": "2.31.2", "birch": "2.31.2", "cedar": "2.30.3", "dogwood": "2.28.5", "elm": "2.31.2", "fir": "2.30.3"},
		"kernel":     {"alder": "6.12.58", "birch": "6.17.8", "cedar": "6.12.58", "dogwood": "6.1.158", "elm": "6.17.8", "fir": "6.12.58"},
		"cores":      {"alder": "16", "birch": "64", "cedar": "8", "dogwood": "32", "elm": "4", "fir": "16"},
		"filesystem": {"alder": "ext4", "birch": "zfs", "cedar": "btrfs", "dogwood": "ext4", "elm": "ext4", "fir": "zfs"},
		"cpu":        {"alder": "AMD EPYC 7763", "birch": "AMD EPYC 9654", "cedar": "Intel Core i7-8700", "dogwood": "Intel Xeon Gold 6338", "elm": "AMD Ryzen 5 3600", "fir": "AMD EPYC 7763"},
	} {
		if value := values[builder]; value != "" {
			e[name] = value
		}
	}
	return e
}

// build lets every builder attest most packages, each at its own time.
func (s *sampler) build() {
	builders := []string{"alder", "birch", "cedar", "dogwood", "elm", "fir"}
	for i, p := range packages() {
		for j, b := range builders {
			if (i+j)%7 == 0 || i%9 == 8 && j > 0 {
				continue // not everybody builds everything
			}
			at := s.start.Add(2*time.Hour + time.Duration(s.random.Int64N(int64(50*24*time.Hour))) + time.Duration(j)*12*time.Hour)
			s.say(at, b, p, digestOf(p, b, j), inputsOf(p, b))
		}
	}
	late := s.now.Add(-26 * time.Hour)
	s.say(late, "birch-arm", "hello-2.12.1", "hello-2.12.1", "inputs")
	s.say(late.Add(time.Hour), "hazel", "openssl-3.5.4", "openssl-3.5.4 by hazel", "inputs")
	s.say(late.Add(2*time.Hour), "cedar", "python3-3.13.9", "python3 again", "inputs")
	s.say(late.Add(25*time.Hour), "fir", "sudo-1.9.17p2", "sudo by fir", "inputs")
	s.say(late.Add(-300*time.Hour), "cedar", "sqlite-3.50.4", "sqlite wrong", "inputs")
	s.Entries = append(
		s.Entries,
		Entry{At: late.Add(-200 * time.Hour), Builder: "cedar", Statement: Withdraw(Out("sqlite-3.50.4", ""), "sqlite wrong", "A faulty disk.")},
		Entry{At: late.Add(3 * time.Hour), Builder: "elm", Statement: Failed(DRV("openssl-3.5.4"), "The test 80-test_ssl_new failed.")},
	)
}

// say attests a package: its output, and for one its further outputs.
func (s *sampler) say(at time.Time, builder, p, digest, inputs string) {
	outputs := []string{Out(p, ""), digest}
	if p == "openssl-3.5.4" {
		for _, more := range []string{"bin", "dev", "doc", "man"} {
			outputs = append(outputs, Out(p, more), p+more)
		}
	}
	s.Entries = append(s.Entries, Entry{At: at, Builder: builder, Statement: Rebuild(environmentOf(builder), DRV(p), inputs, outputs...)})
}

// digestOf decides who gets what: packages not named here reproduce.
func digestOf(p, builder string, i int) string {
	switch p {
	case "nftables-1.1.5", "bcachefs-tools-1.31.2":
		return fmt.Sprint(p, i) // scatter
	case "openssl-3.5.4":
		if builder == "birch" || builder == "fir" { // those on zfs
			return p + " in directory order"
		}
	case "ghc-9.10.3-doc":
		return fmt.Sprint(p, environmentOf(builder)["kernel"])
	case "linux-6.17.8", "perl-5.42.0":
		if builder == "elm" {
			return p + " by elm"
		}
	}
	return p
}

func inputsOf(p, builder string) string {
	if p == "nftables-1.1.5" {
		return "inputs of " + builder
	}
	return "inputs"
}

// Revised is Sample with one more revision of its package set: a package regressed, one was
// fixed, some came and went, and not all of it is built yet.
func Revised(now time.Time) *Scenario {
	s := &sampler{Scenario: *Sample(now), now: now}
	published := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Set != nil })
	before := s.Entries[published].Set
	set := &Set{Name: before.Name, Revision: "26.05.1960", Ecosystem: before.Ecosystem}
	for _, m := range before.Members {
		switch m.Key {
		case Out("hello-2.12.1", ""):
			m.Key, m.Version = Out("hello-2.12.2", ""), "2.12.2"
		case Out("perl-5.42.0", ""):
			m.Key, m.Version = Out("perl-5.42.1", ""), "5.42.1"
		case Out("which-2.23", ""):
			m.Key, m.Version = Out("which-2.25", ""), "2.25"
		case Out("unbuilt-0", ""), Out("unbuilt-1", ""), Out("nano-8.7", ""):
			continue
		}
		set.Members = append(set.Members, m)
	}
	for _, p := range []string{"jq-1.8.1", "micro-2.0.14"} {
		set.Members = append(set.Members, Member{Key: Out(p, ""), Attribute: "pkgs." + p[:2], Version: "1", System: "x86_64-linux", Maintainers: []string{"ada"}})
	}
	s.Entries = append(s.Entries, Entry{At: now.Add(-50 * time.Minute), Set: set})
	for i, c := range []struct{ builder, name, digest string }{
		{"alder", "hello-2.12.2", "hello"},
		{"birch", "hello-2.12.2", "hello with a date"},
		{"cedar", "hello-2.12.2", "hello"},
		{"alder", "perl-5.42.1", "perl"},
		{"elm", "perl-5.42.1", "perl"},
		{"alder", "micro-2.0.14", "micro"},
		{"fir", "micro-2.0.14", "micro by fir"},
		{"birch", "jq-1.8.1", "jq"},
	} {
		s.say(now.Add(time.Duration(i-40)*time.Minute), c.builder, c.name, c.digest, "inputs")
	}
	return &s.Scenario
}

// Large is a scenario with one build of many outputs, many builders and many
// divergences: what a page has to cut.
func Large(now time.Time, outputs, operators int) *Scenario {
	s := &Scenario{}
	for i := range operators {
		label := fmt.Sprintf("builder-with-a-long-name-%d", i)
		s.Builders = append(s.Builders, Builder{label, fmt.Sprintf("operator-with-a-long-name-%d", i), enrolment.Counted})
		statement := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR, Environment: environmentOf("alder")}
		build := attestation.Build{Name: DRV("large"), Occasion: attestation.OccasionRebuild}
		for j := range outputs {
			build.Outputs = append(build.Outputs, j)
			statement.Subjects = append(statement.Subjects, attestation.Subject{Name: Out("large", fmt.Sprint("out", j)), Digest: Digest(fmt.Sprint(j, i%(j%5+2)))})
		}
		statement.Builds = []attestation.Build{build}
		s.Entries = append(s.Entries, Entry{At: now.Add(-time.Duration(operators-i) * 24 * time.Hour), Builder: label, Statement: statement})
	}
	return s
}

// Copied is a scenario in which one operator claims what another did, also of
// outputs that come out differently each time.
func Copied(now time.Time) *Scenario {
	s := &Scenario{Builders: []Builder{
		{"magpie", "magpie", enrolment.Counted},
		{"ash", "ash", enrolment.Counted},
		{"beech", "beech", enrolment.Counted},
		{"chestnut", "chestnut", enrolment.Counted},
	}}
	for i, label := range []string{"ash", "beech", "chestnut", "magpie"} {
		at := now.Add(time.Duration(i-4) * 24 * time.Hour)
		say := func(name, digest string) {
			s.Entries = append(s.Entries, Entry{
				At: at, Builder: label, Statement: Rebuild(environmentOf(label), DRV(name), "inputs", Out(name, ""), digest),
			})
		}
		for n := range 12 {
			name := fmt.Sprint("steady-", n)
			say(name, name)
		}
		for n := range 6 {
			name := fmt.Sprint("dated-", n)
			if label == "magpie" {
				say(name, name+" by ash")
			} else {
				say(name, name+" by "+label)
			}
		}
	}
	return s
}
