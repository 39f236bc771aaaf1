package collect

import "testing"

func TestBuildDir(t *testing.T) {
	for _, c := range []struct {
		name, sandbox string
		config        map[string]string
		tmpdir, want  string
	}{
		{"a sandbox", "true", nil, "", "default"},
		{"a sandbox hides TMPDIR", "true", nil, "/var/tmp", "default"},
		{"a sandbox hides build-dir", "relaxed", map[string]string{"build-dir": "/scratch"}, "", "default"},
		{"a sandbox with the usual directory", "true", map[string]string{"sandbox-build-dir": "/build"}, "", "default"},
		{"a sandbox with another directory", "true", map[string]string{"sandbox-build-dir": "/b"}, "", "other"},
		{"no sandbox", "false", nil, "", "default"},
		{"no sandbox, TMPDIR as usual", "false", nil, "/tmp", "default"},
		{"no sandbox, another TMPDIR", "false", nil, "/var/tmp", "other"},
		{"no sandbox, build-dir", "false", map[string]string{"build-dir": "/scratch"}, "", "other"},
		{"no sandbox, sandbox-build-dir is not seen", "false", map[string]string{"sandbox-build-dir": "/b"}, "", "default"},
	} {
		if got := buildDir(c.sandbox, c.config, c.tmpdir); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWithStore(t *testing.T) {
	usual := map[string]string{"build-users-group": "nixbld", "store": "auto"}
	for _, c := range []struct {
		name, answer, uri string
		config            map[string]string
		want              string
	}{
		{"the daemon", "nix (Nix) 2.8.0", "daemon", usual, "2.8.0"},
		{"root without the daemon", "nix (Nix) 2.8.0", "local", usual, "2.8.0"},
		{"Lix", "nix (Lix, like Nix) 2.91.0", "auto", usual, "2.91.0 (Lix)"},
		{"single-user", "nix (Nix) 2.28.3", "", map[string]string{"build-users-group": ""}, "2.28.3 in a single-user store"},
		{"a user for each build", "nix (Nix) 2.28.3", "", map[string]string{"build-users-group": "", "auto-allocate-uids": "true"}, "2.28.3"},
		{"relocated", "nix (Nix) 2.8.0", "local?root=/home/alice/nix", usual, "2.8.0 in a relocated store"},
		{"relocated, single-user", "nix (Lix, like Nix) 2.91.0", "/home/alice/nix", map[string]string{"build-users-group": ""}, "2.91.0 (Lix) in a relocated store"},
		{"relocated files of a store", "nix (Nix) 2.8.0", "local?real=/mnt/store", usual, "2.8.0 in a relocated store"},
		{"nothing told", "nix (Nix) 2.8.0", "", nil, "2.8.0"},
		{"no version", "", "/home/alice/nix", nil, ""},
	} {
		store, err := openStore(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		got := prune(map[string]string{"nix": withStore(implementation(c.answer), c.config, store)})["nix"]
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestImplementation(t *testing.T) {
	for answer, want := range map[string]string{
		"nix (Nix) 2.8.0\n":                            "2.8.0",
		"nix (Nix) 2.28.3":                             "2.28.3",
		"nix (Lix, like Nix) 2.91.0\nSystem type: x\n": "2.91.0 (Lix)",
		"nix (Lix, like Nix) 2.91.0":                   "2.91.0 (Lix)",
		"nix (Determinate Nix 3.6.2) 2.29.0":           "2.29.0 (Determinate Nix 3.6.2)",
		"nix 2.3":                                      "2.3",
		"":                                             "",
		"no version":                                   "",
	} {
		if got := implementation(answer); got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}
