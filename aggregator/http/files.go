package http

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/attestation"
)

// What is complete in the ledger never changes; attachments may be erased, and the
// checkpoint and unfinished tiles change.
const (
	keepForever     = "public, max-age=31536000, immutable"
	keepAnHour      = "public, max-age=3600"
	keepFiveMinutes = "public, max-age=300, must-revalidate" // badges, see [dashboard.BadgeSeconds]
	askAgain        = "no-cache"
)

const bytesType = "application/octet-stream"

// checkpoint answers with the newest state of the log.
func (s *Server) checkpoint(c *gin.Context) {
	s.file(c, "checkpoint", "text/plain; charset=utf-8", askAgain)
}

// logKey answers with the log's verifier key, one line.
func (s *Server) logKey(c *gin.Context) {
	if key := s.parts.Log.Key + "\n"; !unchanged(c, etagOfBytes([]byte(key)), askAgain) {
		c.String(http.StatusOK, "%s", key)
	}
}

// tile answers with a tile of hashes or entries.
func (s *Server) tile(c *gin.Context) {
	s.file(c, "tile"+c.Param("path"), bytesType, keepForever)
}

// attachment answers with what an entry names by its SHA-256.
func (s *Server) attachment(c *gin.Context) {
	if name, ok := strings.CutPrefix(c.Param("path"), "/sha256/"); ok && s.parts.Log.Erased != nil {
		if sum, err := attestation.ParseDigest(name); err == nil && s.parts.Log.Erased(sum) {
			s.fail(c, api.NewProblem(api.ProblemErased, "This attachment was erased; an entry of the ledger says so."))
			return
		}
	}
	s.file(c, "attachments"+c.Param("path"), bytesType, keepAnHour)
}

// file answers with a file of the ledger.
func (s *Server) file(c *gin.Context, name, contentType, caching string) {
	s.fileOf(c, c.Writer, s.root, name, contentType, caching, api.NewProblem(api.ProblemNotFound, "The ledger has no such file (yet): "+api.LogPath+"/checkpoint says how far it goes."))
}

// fileOf answers with a file below a directory, but not with directories, nor with what
// is not finished, whose name begins with a point.
func (s *Server) fileOf(c *gin.Context, w http.ResponseWriter, root *os.Root, name, contentType, caching string, missing error) {
	if path.Clean(name) != name || strings.Contains("/"+name, "/.") {
		s.fail(c, missing)
		return
	}
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		s.fail(c, missing)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		s.fail(c, err)
		return
	case !info.Mode().IsRegular():
		s.fail(c, missing)
		return
	}
	c.Header("Content-Type", contentType)
	c.Header("Cache-Control", caching)
	http.ServeContent(w, c.Request, "", info.ModTime().Truncate(time.Second), file)
}
