package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Policy returns an error for every rule that the objects break.
func Policy(o *Objects) error {
	var all []error
	for _, rule := range []func(*Objects) []error{
		namespaces, podSecurity, noToken, containers, probes, shutdown, drains, oneWriter, followers, services, networkPolicies, configuration,
	} {
		all = append(all, rule(o)...)
	}
	return errors.Join(all...)
}

// namespaces: what is rendered lands in a namespace that is rendered too, which refuses whatever
// is not "restricted".
func namespaces(o *Objects) (broken []error) {
	declared := map[string]bool{}
	for _, n := range o.Namespaces {
		declared[n.Name] = true
		if n.Labels[api.EnforceLevelLabel] != string(api.LevelRestricted) {
			broken = append(broken, fmt.Errorf("namespace %s does not enforce restricted pod security", n.Name))
		}
	}
	var objects []metav1.Object
	objects = collect(objects, o.ServiceAccounts)
	objects = collect(objects, o.ConfigMaps)
	objects = collect(objects, o.Services)
	objects = collect(objects, o.StatefulSets)
	objects = collect(objects, o.NetworkPolicies)
	objects = collect(objects, o.Ingresses)
	objects = collect(objects, o.Budgets)
	objects = collect(objects, o.Autoscalers)
	objects = collect(objects, o.Monitors)
	for _, object := range objects {
		if !declared[object.GetNamespace()] {
			broken = append(broken, fmt.Errorf("%s is in namespace %q, which is not rendered", object.GetName(), object.GetNamespace()))
		}
	}
	return broken
}

func collect[T metav1.Object](into []metav1.Object, objects []T) []metav1.Object {
	for _, object := range objects {
		into = append(into, object)
	}
	return into
}

// podSecurity asks the code that the API server's admission asks.
func podSecurity(o *Objects) (broken []error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []error{fmt.Errorf("building the pod security evaluator: %w", err)}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, s := range o.StatefulSets {
		pod := s.Spec.Template
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
		if !result.Allowed {
			broken = append(broken, fmt.Errorf("pod of %s is not restricted: %s", s.Name, result.ForbiddenDetail()))
		}
	}
	return broken
}

func noToken(o *Objects) (broken []error) {
	off := func(mount *bool) bool { return mount != nil && !*mount }
	accounts := map[string]bool{}
	for _, a := range o.ServiceAccounts {
		accounts[a.Name] = true
		if !off(a.AutomountServiceAccountToken) {
			broken = append(broken, fmt.Errorf("service account %s mounts its token", a.Name))
		}
	}
	for _, s := range o.StatefulSets {
		pod := s.Spec.Template.Spec
		if !off(pod.AutomountServiceAccountToken) {
			broken = append(broken, fmt.Errorf("pod of %s mounts a service account's token", s.Name))
		}
		if !accounts[pod.ServiceAccountName] {
			broken = append(broken, fmt.Errorf("pod of %s runs as service account %q, which is not rendered", s.Name, pod.ServiceAccountName))
		}
	}
	return broken
}

// containers: a fixed image, a root that is not written to, and bounds on what a pod can take.
func containers(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		for _, c := range s.Spec.Template.Spec.Containers {
			bad := func(format string, a ...any) {
				broken = append(broken, fmt.Errorf("container %s: "+format, append([]any{c.Name}, a...)...))
			}
			if _, tag, ok := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":"); !ok || tag == "" || tag == "latest" {
				bad("image %s has no fixed version", c.Image)
			}
			if !strings.Contains(c.Image, "/") {
				bad("image %s names no place, so the nodes would look for it in a public one", c.Image)
			}
			if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				bad("its root file system is writable")
			}
			for _, path := range []string{"/tmp", "/data"} {
				if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path && !m.ReadOnly }) {
					bad("it cannot write to %s", path)
				}
			}
			request, limit := c.Resources.Requests, c.Resources.Limits
			if request.Cpu().IsZero() || request.Memory().IsZero() {
				bad("it requests no CPU or no memory")
			}
			if limit.Memory().Cmp(*request.Memory()) < 0 {
				bad("its memory limit %s is below its request %s", limit.Memory(), request.Memory())
			}
		}
		for _, v := range s.Spec.Template.Spec.Volumes {
			if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
				broken = append(broken, fmt.Errorf("volume %s of %s has no size limit", v.Name, s.Name))
			}
		}
	}
	return broken
}

// probes: three different questions. A liveness probe that asks what readiness asks would restart a
// pod that only waits; without a patient startup probe it would do so before the pod is up.
func probes(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		for _, c := range s.Spec.Template.Spec.Containers {
			all := map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe}
			asked := map[string]string{}
			complete := true
			for _, name := range []string{"startup", "readiness", "liveness"} {
				probe := all[name]
				if probe == nil || probe.HTTPGet == nil {
					complete = false
					broken = append(broken, fmt.Errorf("container %s has no %s probe over HTTP", c.Name, name))
					continue
				}
				if other := asked[probe.HTTPGet.Path]; other != "" {
					broken = append(broken, fmt.Errorf("container %s: the %s probe asks the same as the %s probe", c.Name, name, other))
				}
				asked[probe.HTTPGet.Path] = name
				if !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
					return p.Protocol == corev1.ProtocolTCP && (p.Name == probe.HTTPGet.Port.StrVal || p.ContainerPort == probe.HTTPGet.Port.IntVal)
				}) {
					broken = append(broken, fmt.Errorf("container %s: the %s probe asks port %s, which it does not have", c.Name, name, &probe.HTTPGet.Port))
				}
			}
			if complete && patience(c.StartupProbe) <= patience(c.LivenessProbe) {
				broken = append(broken, fmt.Errorf("container %s: a start gets %d s, less than a hang gets", c.Name, patience(c.StartupProbe)))
			}
		}
	}
	return broken
}

// patience is how many seconds of failure a probe bears.
func patience(p *corev1.Probe) int32 {
	return p.PeriodSeconds * p.FailureThreshold
}

// shutdown: a pod that is told to stop first leaves the load balancers, then has a minute or more.
func shutdown(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		pod := s.Spec.Template.Spec
		for _, c := range pod.Containers {
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil {
				broken = append(broken, fmt.Errorf("container %s does not wait before it stops", c.Name))
				continue
			}
			if pod.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds < c.Lifecycle.PreStop.Sleep.Seconds+60 {
				broken = append(broken, fmt.Errorf("container %s has less than a minute to stop", c.Name))
			}
		}
	}
	return broken
}

// oneWriter: one server writes the ledger, with exactly one replica and a volume that outlives it.
func oneWriter(o *Objects) (broken []error) {
	writers := 0
	for _, s := range o.StatefulSets {
		if follows(o, s) {
			continue
		}
		writers++
		if s.Spec.Replicas == nil || *s.Spec.Replicas != 1 {
			broken = append(broken, fmt.Errorf("%s has not exactly one replica, but the ledger has one writer", s.Name))
		}
		keep := s.Spec.PersistentVolumeClaimRetentionPolicy
		if keep == nil || keep.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType ||
			keep.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
			broken = append(broken, fmt.Errorf("%s may delete the ledger's volume", s.Name))
		}
		for _, a := range o.Autoscalers {
			if scales(a, s) {
				broken = append(broken, fmt.Errorf("autoscaler %s scales %s, but the ledger has one writer", a.Name, s.Name))
			}
		}
	}
	if writers != 1 {
		broken = append(broken, fmt.Errorf("%d servers write a ledger, want 1", writers))
	}
	return broken
}

// followers: as many as an autoscaler wants, spread over nodes, which follow a server that is there.
func followers(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		if !follows(o, s) {
			continue
		}
		scaled := slices.ContainsFunc(o.Autoscalers, func(a *autoscalingv2.HorizontalPodAutoscaler) bool { return scales(a, s) })
		if scaled == (s.Spec.Replicas != nil) {
			broken = append(broken, fmt.Errorf("%s needs either an autoscaler or a number of replicas", s.Name))
		}
		if !slices.ContainsFunc(s.Spec.Template.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
			return c.TopologyKey == corev1.LabelHostname && selects(c.LabelSelector, s)
		}) {
			broken = append(broken, fmt.Errorf("%s is not spread over nodes", s.Name))
		}
		config, _ := configOf(o, s)
		host, found := strings.CutPrefix(config.Follow, "http://")
		if found && !slices.ContainsFunc(o.Services, func(service *corev1.Service) bool { return service.Name == host }) {
			broken = append(broken, fmt.Errorf("%s follows %s, which is not rendered", s.Name, host))
		}
		if config.LogKey == "" {
			broken = append(broken, fmt.Errorf("%s follows a ledger without its key", s.Name))
		}
	}
	return broken
}

// scales reports whether an autoscaler is for a set.
func scales(a *autoscalingv2.HorizontalPodAutoscaler, s *appsv1.StatefulSet) bool {
	to := a.Spec.ScaleTargetRef
	return to.APIVersion == "apps/v1" && to.Kind == "StatefulSet" && to.Name == s.Name
}

// drains: a budget lets the node of each pod be drained.
func drains(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		if !selects(s.Spec.Selector, s) {
			broken = append(broken, fmt.Errorf("%s does not select its own pod", s.Name))
		}
		budgets := 0
		for _, b := range o.Budgets {
			if !selects(b.Spec.Selector, s) {
				continue
			}
			budgets++
			if b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() < 1 {
				broken = append(broken, fmt.Errorf("budget %s forbids every eviction, so no node with %s can be drained", b.Name, s.Name))
			}
		}
		if budgets != 1 {
			broken = append(broken, fmt.Errorf("%d disruption budgets select %s, want 1", budgets, s.Name))
		}
	}
	return broken
}

func selects(selector *metav1.LabelSelector, s *appsv1.StatefulSet) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(s.Spec.Template.Labels))
}
