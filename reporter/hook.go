package reporter

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"repronet.dev/internal/durable"
	"repronet.dev/reporter/collect"
)

// DefaultHookFile is where [InstallHook] puts Nix's post-build-hook: outside of the
// reporter's directory, so that removing that breaks no build.
const DefaultHookFile = "/etc/nix/repronet-post-build-hook"

// A Hook is a script for Nix's setting post-build-hook.
type Hook struct {
	File    string // of the script
	Program string // the reporter's own file
	Home    Home
	Store   string // URI of the Nix store where NIX_CONFIG does not say it; usually empty
}

// hookMark is in each script that this program wrote, and in no other file.
const hookMark = "# Written by repronet-reporter hook install."

// script returns the hook. Nix's daemon runs it as root after each build.
func (h *Hook) script() (string, error) {
	dir, err := filepath.Abs(string(h.Home))
	if err != nil {
		return "", err
	}
	store := ""
	if h.Store != "" {
		store = " --store " + quote(h.Store)
	}
	return fmt.Sprintf(`#!/bin/sh
%s
# Nix's post-build-hook. A hook that fails stops all further builds, so this one
# never does, not even when the reporter is gone.
if [ -x %s ]; then
	%[2]s hook nix --dir %[3]s%[4]s || :
else
	echo 'repronet-reporter is gone: take post-build-hook out of nix.conf' >&2
fi
`, hookMark, quote(h.Program), quote(dir), store), nil
}

// InstallHook writes the script. As root it refuses a program, or a place for the
// script, that another user could replace: the daemon would run what that user likes.
func InstallHook(h *Hook) error {
	if os.Geteuid() == 0 {
		if err := CheckProgram(h.Program); err != nil {
			return fmt.Errorf("installing the hook: %w; copy the program to /usr/local/bin and call that", err)
		}
		if err := checkPath(filepath.Dir(h.File)); err != nil {
			return fmt.Errorf("installing the hook: %w", err)
		}
	}
	if err := checkReplaceable(h.File); err != nil {
		return fmt.Errorf("installing the hook: %w", err)
	}
	script, err := h.script()
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(h.File), 0o755); err != nil {
		return fmt.Errorf("installing the hook: %w", err)
	}
	if os.Geteuid() == 0 { // another may have made it first, in a directory such as /tmp
		if err := checkPath(filepath.Dir(h.File)); err != nil {
			return fmt.Errorf("installing the hook: %w", err)
		}
	}
	return durable.WriteFile(h.File, []byte(script), 0o755)
}

// checkReplaceable refuses a file that is there and is no hook of ours.
func checkReplaceable(file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !bytes.Contains(content, []byte(hookMark)) {
		err = fmt.Errorf("%s is there and was not written by repronet-reporter: choose another place with --to", file)
	}
	return err
}

// RemoveHook removes the script, if it is there. While one of the Nix configurations, or a
// file that one includes, names it, a script that does nothing stays in its place, since
// without it each build would fail; named is that file then.
func RemoveHook(file string, configs []string) (named string, err error) {
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := checkReplaceable(file); err != nil {
		return "", fmt.Errorf("removing the hook: %w", err)
	}
	for _, config := range configs {
		named, err := collect.Assigned(config, "post-build-hook", file)
		if err != nil {
			return "", err
		}
		if named != "" {
			script := "#!/bin/sh\n" + hookMark + "\n# It was uninstalled and does nothing. Take post-build-hook out of " + named + ", then delete this file.\n"
			return named, durable.WriteFile(file, []byte(script), 0o755)
		}
	}
	return "", durable.Remove(file)
}

// quote writes a word for the shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
