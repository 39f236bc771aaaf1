package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

//go:embed static
var staticFiles embed.FS

// assets are the static files under names that carry the hash of their content,
// so that a browser may keep them for ever.
type assets struct {
	Style, Script, Icon string // URLs
	content             map[string][]byte
}

func loadAssets() (*assets, error) {
	a := &assets{content: map[string][]byte{}}
	for _, file := range []struct {
		name string
		url  *string
	}{{"style.css", &a.Style}, {"app.js", &a.Script}, {"icon.svg", &a.Icon}} {
		content, err := fs.ReadFile(staticFiles, "static/"+file.name)
		if err != nil {
			return nil, fmt.Errorf("loading static files: %w", err)
		}
		sum := sha256.Sum256(content)
		stem, extension, _ := strings.Cut(file.name, ".")
		*file.url = fmt.Sprintf("/static/%s.%s.%s", stem, hex.EncodeToString(sum[:6]), extension)
		a.content[*file.url] = content
	}
	return a, nil
}

func (d *Dashboard) asset(c *gin.Context) {
	url := "/static/" + c.Param("file")
	content, ok := d.assets.content[url]
	if !ok {
		d.Fail(c, api.NewProblem(api.ProblemNotFound, "There is no such file."))
		return
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, mime.TypeByExtension(path.Ext(url)), content)
}
