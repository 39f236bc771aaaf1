package docs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
)

// TestAlerts has Prometheus's own tool read the alert rules, and their tests: each is silent
// while all is well, and says what it should when it is not.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
	rules, tests := readFile(t, "monitoring/alerts.yaml"), readFile(t, "monitoring/alerts_test.yaml")
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !regexp.MustCompile(`alertname: ` + alert[1] + `\n\s+exp_alerts:`).MatchString(tests) {
			t.Errorf("%s is never seen to fire", alert[1])
		}
	}
}

// TestDashboard reads the dashboard for Grafana, and has Prometheus's tool read its queries.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "monitoring/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	rules := "groups:\n- name: queries\n  rules:\n"
	places := map[string]string{}
	for _, p := range dashboard.Panels {
		place := fmt.Sprint(p.GridPos)
		if p.Title == "" || p.Type == "" || len(p.Targets) == 0 || places[place] != "" {
			t.Errorf("panel %d, %q, is not complete, or in the place of %q", p.ID, p.Title, places[place])
		}
		places[place] = p.Title
		for i, target := range p.Targets {
			rules += fmt.Sprintf("  - {record: 'panel%d:%d', expr: %q}\n", p.ID, i, strings.ReplaceAll(target.Expr, "$instance", ".*"))
		}
	}
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// TestMetricsOfTheRules: what alerts and dashboard ask for is what the programs count.
func TestMetricsOfTheRules(t *testing.T) {
	source := ""
	err := filepath.WalkDir("../aggregator", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			source += readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"monitoring/alerts.yaml", "monitoring/dashboard.json"} {
		for _, name := range regexp.MustCompile(`\brepronet_[a-z_]+`).FindAllString(readFile(t, file), -1) {
			if !strings.Contains(source, `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
				t.Errorf("%s asks for %s, which nothing counts", file, name)
			}
		}
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), needtest.Program(t, "promtool", "prometheus"), args...)
	command.Dir = "monitoring"
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
