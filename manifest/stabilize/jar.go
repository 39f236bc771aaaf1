package stabilize

import (
	"bytes"
	"io"
	"path"
	"strings"
)

// maxManifest bounds the manifest of a jar, in bytes.
const maxManifest = 1 << 20

func isManifest(name string, size int64) bool { return name == "MANIFEST.MF" && size <= maxManifest }

// volatile are the main attributes of a jar's manifest that tell of the build alone: those of
// jar(1), Ant, Maven's archiver and bnd.
var volatile = []string{"bnd-lastmodified", "build-date", "build-time", "build-timestamp", "build-jdk", "build-jdk-spec", "built-at", "built-by", "built-on", "created-by"}

// jarManifest finds attributes of the build. The format: Oracle, "JAR File Specification",
// Manifest Specification: a line that begins with a space continues the one before.
func jarManifest(name string, r io.ReaderAt, size int64) (cuts []Range) {
	if !isManifest(name, size) {
		return nil
	}
	text := part(r, size, 0, size)
	drop := false
	for at := 0; at < len(text); {
		line := text[at:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		if !bytes.HasPrefix(line, []byte(" ")) {
			attribute, _, ok := strings.Cut(string(line), ":")
			drop = ok && isVolatile(attribute)
		}
		if drop {
			cuts = append(cuts, Range{int64(at), int64(at + len(line))})
		}
		at += len(line)
	}
	return cuts
}

func isVolatile(attribute string) bool {
	for _, v := range volatile {
		if strings.EqualFold(attribute, v) {
			return true
		}
	}
	return false
}

// isJarSignature tells the members of a jar that sign it, or are the signed list of it.
func isJarSignature(name string) bool {
	dir, file := path.Split(strings.ToUpper(name))
	if dir != "META-INF/" {
		return false
	}
	switch path.Ext(file) {
	case ".SF", ".RSA", ".DSA", ".EC":
		return true
	}
	return false
}
