package debian

import (
	"regexp"
	"strings"

	"repronet.dev/reporter/collect"
)

var (
	kernelVersion = regexp.MustCompile(`\d+(\.\d+)+`)
	compiler      = regexp.MustCompile(`^(gcc|clang)-\d+ \(= ([0-9A-Za-z.+~:-]+)\),?$`)
	parallel      = regexp.MustCompile(`\bparallel=(\d+)\b`)
	assigned      = regexp.MustCompile(`^([A-Z_]+)="(.*)"$`)
	localeName    = regexp.MustCompile(`^[A-Za-z]+(_[A-Z]+)?(\.[A-Za-z0-9-]+)?$`)
)

// environment is that of the machine, and of the build where the file says it: a build may
// have had other settings than the one that collects it, and its time zone and file mode
// mask are told nowhere.
func (p paragraph) environment(dir string) map[string]string {
	env := collect.Environment(dir)
	delete(env, "tz")
	delete(env, "umask")
	delete(env, "locale")
	if v := kernelVersion.FindString(p["build-kernel-version"]); v != "" {
		env["kernel"] = v
	}
	for _, line := range p.lines("environment") {
		m := assigned.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch name, value := m[1], m[2]; name {
		case "DEB_BUILD_OPTIONS":
			if n := parallel.FindStringSubmatch(value); n != nil {
				env["cores"] = n[1]
			}
		case "LC_ALL", "LANG":
			if localeName.MatchString(value) && (env["locale"] == "" || name == "LC_ALL") {
				env["locale"] = value
			}
		}
	}
	var compilers []string
	for _, line := range p.lines("installed-build-depends") {
		if m := compiler.FindStringSubmatch(line); m != nil {
			compilers = append(compilers, m[1]+" "+m[2])
		}
	}
	if len(compilers) == 1 { // of several, which one was used is not told
		env["compiler"] = strings.TrimSpace(compilers[0])
	}
	return env
}
