package dashboard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/ecosystem"
)

func TestNumber(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 1<<64 - 1: "18,446,744,073,709,551,615"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
}

// TestPercent never rounds to all or nothing.
func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole uint64
		want        string
	}{
		{0, 0, "–"},
		{0, 3, "0 %"},
		{3, 3, "100 %"},
		{1, 3, "33.3 %"},
		{2, 3, "66.7 %"},
		{99999, 100000, "> 99.9 %"},
		{1, 100000, "< 0.1 %"},
		{999, 1000, "99.9 %"},
		{1, 1000, "0.1 %"},
	} {
		if got := percent(c.part, c.whole); got != c.want {
			t.Errorf("percent(%d, %d) = %s, want %s", c.part, c.whole, got, c.want)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "just now", -59 * time.Second: "just now", time.Minute: "1 minute ago", 119 * time.Minute: "1 hour ago",
		47 * time.Hour: "1 day ago", 800 * 24 * time.Hour: "2 years ago", -3 * time.Hour: "in 3 hours",
	} {
		if got := newMoment(now.Add(-ago), now).Ago; got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
	if got := newMoment(time.Time{}, now); got != (moment{}) {
		t.Errorf("an unknown time is %v", got)
	}
	local := time.Date(2026, 11, 22, 16, 30, 0, 0, time.FixedZone("", 2*3600))
	want := moment{ISO: "2026-11-22T14:30:00Z", Ago: "30 minutes ago", Absolute: "22 Nov 2026, 14:30 UTC"}
	if diff := cmp.Diff(want, newMoment(local, now)); diff != "" {
		t.Error(diff)
	}
}

// TestName takes names apart so that the parts are the whole again.
func TestName(t *testing.T) {
	const hash = "5rzw47q0l3fgxz722bql57h972ghq9b3"
	for full, want := range map[string]name{
		"/nix/store/" + hash + "-hello-2.12.drv": {Dir: "/nix/store/", Hash: hash, Label: "hello-2.12.drv"},
		"/gnu/store/" + hash + "-hello":          {Dir: "/gnu/store/", Hash: hash, Label: "hello"},
		"/nix/store/short-hello":                 {Dir: "/nix/store/", Label: "short-hello"},
		"bitcoin-core-29.0/bitcoin.tar.gz":       {Dir: "bitcoin-core-29.0/", Label: "bitcoin.tar.gz"},
		"hello":                                  {Label: "hello"},
		"ends/":                                  {Label: "ends/"},
		"":                                       {},
	} {
		got := newName(ecosystem.OfKey(full), full)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", full, diff)
		}
		whole := got.Dir + got.Hash + got.Label
		if got.Hash != "" {
			whole = got.Dir + got.Hash + "-" + got.Label
		}
		if whole != full {
			t.Errorf("%q became %q", full, whole)
		}
	}
}

func TestURLs(t *testing.T) {
	for name, want := range map[string]string{
		"/nix/store/a-b.drv": "/builds/nix/store/a-b.drv",
		"op/a?b%c#d e":       "/builds/op/a%3Fb%25c%23d%20e",
		"//evil.example":     "/builds//evil.example",
		"javascript:x":       "/builds/javascript:x",
	} {
		if got := buildURL(name); got != want {
			t.Errorf("buildURL(%q) = %s, want %s", name, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "000", 67: "067", 1234: "x001/234", 1234067: "x001/x234/067"} {
		if got := entriesTile(n); got != "/log/tile/entries/"+want {
			t.Errorf("entriesTile(%d) = %s, want …/%s", n, got, want)
		}
	}
}
