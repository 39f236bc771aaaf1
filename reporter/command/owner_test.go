package command

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"repronet.dev/internal/exectest"
	"repronet.dev/internal/needtest"
	"repronet.dev/reporter"
)

// other is a user without rights: "nobody" in Debian.
const other = 65534

// ofAnother makes a reporter's directory that belongs to another user. The test needs
// to be root.
func ofAnother(t *testing.T) reporter.Home {
	t.Helper()
	needtest.Root(t, "act as two users")
	home := newHome(t)
	give(t, string(home))
	return home
}

// give makes a directory and all in it the other user's.
func give(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, other, other))
	})
	if err != nil {
		t.Fatal(err)
	}
	for at := filepath.Dir(dir); at != "/" && at != "/tmp"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRootWritesNothingForAnother: the hook that Nix's daemon runs as root follows no
// link of the user whose reporter it is.
func TestRootWritesNothingForAnother(t *testing.T) {
	t.Parallel()
	home := ofAnother(t)
	root := t.TempDir()
	secret := filepath.Join(root, "secret")
	if err := os.WriteFile(secret, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	spoolDir := filepath.Join(string(home), "spool")
	for link, to := range map[string]string{"problems.log": secret, "queue": root, "problems.log.old": secret} {
		path := filepath.Join(spoolDir, link)
		if err := errors.Join(os.RemoveAll(path), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), binary(t), "hook", "nix", "--dir", string(home))
	command.Env = append(os.Environ(), "DRV_PATH=/nix/store/none.drv", "OUT_PATHS=/nix/store/none")
	if out, err := command.CombinedOutput(); err != nil || len(out) == 0 {
		t.Errorf("the hook says nothing of what went wrong, or failed: %s, %v", out, err)
	}
	if content, err := os.ReadFile(secret); err != nil || string(content) != "before" {
		t.Errorf("root's file is %q now (%v)", content, err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("root's directory has %v now (%v)", entries, err)
	}
}

// TestHookIsTheOwners: what the hook writes as root belongs to the reporter's user.
func TestHookIsTheOwners(t *testing.T) {
	t.Parallel()
	home := ofAnother(t)
	command := exec.CommandContext(t.Context(), binary(t), "hook", "nix", "--dir", string(home))
	command.Env = append(os.Environ(), "DRV_PATH=/nix/store/none.drv", "OUT_PATHS=/nix/store/none")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	info, err := os.Stat(filepath.Join(string(home), "spool", "problems.log"))
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != other {
		t.Errorf("the file is user %d's", stat.Uid)
	}
}

// TestRootWorksInNoOthersDirectory: each other command is refused, with the way out.
func TestRootWorksInNoOthersDirectory(t *testing.T) {
	t.Parallel()
	home := ofAnother(t)
	for _, args := range [][]string{{"status"}, {"run", "--once"}, {"rotate"}, {"withdraw", "x", "--reason", "x"}, {"init", "--report", "all"}, {"uninstall", "--yes"}} {
		out, err := exec.CommandContext(t.Context(), binary(t), append(args, "--dir", string(home))...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "run this as nobody") {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
}

// TestHookOfWritableProgram: root installs no hook that runs what another user may
// replace, nor over what is not a hook.
func TestHookOfWritableProgram(t *testing.T) {
	t.Parallel()
	home := ofAnother(t)
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "repronet-reporter")
	content, err := os.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	exectest.Write(t, program, content)
	file := filepath.Join(t.TempDir(), "hook")
	install := func(want string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, "hook", "install", "--dir", string(home), "--to", file).CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("want %q: %s, %v", want, out, err)
		}
	}
	give(t, dir)
	install("belongs to nobody")
	if err := errors.Join(os.Chown(program, 0, 0), os.Chown(dir, 0, 0), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	install("may be written by others")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(file, []byte("#!/bin/sh\nmine\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	install("was not written by repronet-reporter")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	install("")
	// The script says so, and succeeds, when the program is gone.
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), file).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("is gone")) {
		t.Errorf("%s, %v", out, err)
	}
}

// TestHookInAnothersDirectory: root puts no hook where another user could replace it, in a
// directory that is there or one that is yet to be made, by its name or by a link to it.
func TestHookInAnothersDirectory(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	links := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(u.bobs, "roots"), 0o755), os.Symlink(filepath.Join(u.bobs, "roots"), filepath.Join(links, "roots")),
		os.Symlink(filepath.Join(u.bobs, "gone"), filepath.Join(links, "gone")),
	); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{
		u.bobs, filepath.Join(u.bobs, "new"), filepath.Join(u.bobs, "new", "newer"),
		filepath.Join(links, "roots", "new"), filepath.Join(links, "gone"), filepath.Join(links, "gone", "new"),
	} {
		out, err := u.run(0, "hook", "install", "--to", filepath.Join(dir, "hook"))
		if err == nil || !strings.Contains(out, "could replace") {
			t.Errorf("%s: %s, %v", dir, out, err)
		}
	}
	if entries, err := os.ReadDir(u.bobs); err != nil || len(entries) != 1 {
		t.Errorf("bob's directory has %v now (%v)", entries, err)
	}
	if out, err := u.run(0, "hook", "install", "--to", filepath.Join(links, "new", "newer", "hook")); err != nil {
		t.Errorf("in a directory of root's that is yet to be made: %s, %v", out, err)
	}
}

// TestUninstall: while nix.conf names the hook, one that does nothing stays.
func TestUninstall(t *testing.T) {
	t.Parallel()
	home, conf := newHome(t), t.TempDir()
	file := hookOf(home)
	included := filepath.Join(conf, "hook.conf")
	if err := errors.Join(
		os.WriteFile(filepath.Join(conf, "nix.conf"), []byte("!include hook.conf\n"), 0o600),
		os.WriteFile(included, []byte("post-build-hook = "+file+" # ours\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), binary(t), args...)
		command.Env = append(os.Environ(), "NIX_CONF_DIR="+conf)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s, %v", args, out, err)
		}
		return string(out)
	}
	if out := run("uninstall", "--yes", "--dir", string(home), "--to", file); !strings.Contains(out, "does nothing from now on. Take post-build-hook out of "+included) {
		t.Error(out)
	}
	if _, err := os.Stat(string(home)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), file).CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("the script that is left: %s, %v", out, err)
	}
	if err := os.WriteFile(filepath.Join(conf, "nix.conf"), []byte("# post-build-hook = "+file+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("hook", "remove", "--to", file); !strings.Contains(out, "not there any more") {
		t.Error(out)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the script is there: %v", err)
	}
}
