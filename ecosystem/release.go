package ecosystem

import (
	"errors"
	"strings"
)

// Files of releases are named "<project>/<file>", with the file's name as the
// checksum document of the project has it. Publishers of releases name files as
// their own systems allow: with spaces, brackets and "^". A key says nothing of the
// build that made the file; a build is named by the project, and has the file's key
// by having its name.
var releaseRules = rules{
	build: releaseName,
	file:  releaseFile,
	key:   func(build, output string) string { return build + "/" + output },
	split: func(key string) (build, output string, found bool) { return key, "", false },
	rebuild: func(e *Ecosystem, build string, outputs []Output) []Command {
		if len(outputs) == 1 && build == outputs[0].Key { // nothing but the file is known
			project, file := cutLast(build, "/")
			build, outputs = project, []Output{{file, outputs[0].Key}}
		}
		return attestCommand(e, build, outputs)
	},
	place: filePlace,
	pack:  projectPackage,
	purl:  "generic",
	find:  PURL.path,
}

func releaseFile(key string) error {
	if !strings.Contains(key, "/") {
		return errors.New("a file of a release is named as <project>/<file>")
	}
	return releaseName(key)
}

// releaseName allows what file names of releases contain, besides the common
// characters. A space at either end of a name cannot be seen.
func releaseName(name string) error {
	if err := commonName(name, " ()[]{}!#%&';"); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(name, "/") {
		if strings.Trim(segment, " ") != segment {
			return errors.New("it has a space at the beginning or the end of a path segment")
		}
	}
	return nil
}
