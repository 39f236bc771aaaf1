package http

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"repronet.dev/dashboard"
)

// A path may end in a segment like {name}.atom. gin's router knows only whole segments, so
// such routes share a pattern with each other, and with the route of the segment without a
// suffix: the suffix decides which one answers.

// cutSuffix takes the suffix off a path that ends in {x}.suffix.
func cutSuffix(path string) (whole, suffix string) {
	if i := strings.LastIndex(path, "}."); i >= 0 && !strings.Contains(path[i:], "/") {
		return path[:i+1], path[i+1:]
	}
	return path, ""
}

// A suffixed route answers those requests for its pattern whose paths have its suffix.
type suffixed struct {
	suffix string
	chain  []gin.HandlerFunc
}

// suffixOf is the suffix of the route that answers a request, "" for most.
func (s *Server) suffixOf(c *gin.Context) string {
	routes := s.suffixed[c.FullPath()]
	for _, r := range routes {
		if rest, ok := strings.CutSuffix(c.Request.URL.Path, r.suffix); ok && rest != "" && !strings.HasSuffix(rest, "/") {
			return r.suffix
		}
	}
	return ""
}

// bySuffix answers a request that has one of the suffixes of its pattern; any other goes on
// to the route without a suffix.
func (s *Server) bySuffix(c *gin.Context) {
	suffix := s.suffixOf(c)
	if suffix == "" {
		return
	}
	routes := s.suffixed[c.FullPath()]
	i := slices.IndexFunc(routes, func(r suffixed) bool { return r.suffix == suffix })
	last := &c.Params[len(c.Params)-1]
	last.Value = strings.TrimSuffix(last.Value, suffix)
	for _, handle := range routes[i].chain {
		if handle(c); c.IsAborted() {
			return
		}
	}
	c.Abort() // the handlers of the route without a suffix
}

// shareSuffixed notes which patterns are shared, before any route is registered.
func (s *Server) shareSuffixed(routes []route) {
	for _, r := range routes {
		if path, suffix := cutSuffix(r.path); suffix != "" {
			s.suffixed[ginPath(path)] = append(s.suffixed[ginPath(path)], suffixed{suffix, r.chain})
		}
	}
}

// registerSuffixed completes the patterns that only routes with suffixes have.
func (s *Server) registerSuffixed(missing gin.HandlerFunc) {
	for pattern := range s.suffixed {
		for _, method := range methods(http.MethodGet) {
			if _, plain := s.names[method+" "+pattern]; !plain {
				s.engine.Handle(method, pattern, s.bySuffix, missing)
			}
		}
	}
}

// listSuffixed lists the routes with suffixes of a pattern.
func (s *Server) listSuffixed(method, pattern, path string) []Route {
	var list []Route
	for _, r := range s.suffixed[pattern] {
		list = append(list, Route{method, path + r.suffix, s.names[method+" "+pattern+r.suffix]})
	}
	return list
}

// beside reports whether a path is one of those beside pages that programs ask: feeds,
// lists and badges. What is wrong is then said in a problem document.
func beside(path string) bool {
	if strings.HasPrefix(path, dashboard.BadgesPath) || strings.HasPrefix(path, dashboard.DivergencesPath+".") {
		return true
	}
	for _, of := range []string{dashboard.PackagesPath, dashboard.MaintainersPath} {
		if strings.HasPrefix(path, of+"/") && slices.ContainsFunc(dashboard.BesideSuffixes(), func(suffix string) bool { return strings.HasSuffix(path, suffix) }) {
			return true
		}
	}
	name, set := strings.CutPrefix(path, dashboard.SetsPath+"/")
	return set && strings.HasSuffix(name, dashboard.FeedSuffix) && !strings.Contains(name, "/")
}
