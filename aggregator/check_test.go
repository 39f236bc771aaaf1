package aggregator

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestReachLeadsNowhere: what is asked whether it answers does not have others asked.
func TestReachLeadsNowhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer server.Close()
	if errs := reach(t.Context(), []string{server.URL}); errs[0] != nil {
		t.Error(errs[0])
	}
}
