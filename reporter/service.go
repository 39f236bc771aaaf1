package reporter

import "fmt"

// A Service is 'repronet-reporter run' as a systemd service of an unprivileged user, who
// holds the key.
type Service struct {
	Description string
	Program     string // the reporter's own file
	Home        Home   // absolute; the service can write nowhere else
	User        string
}

// Unit returns the service's unit file. It waits without an error until there is an
// installation: a package can enable it before anybody has called init.
func (s *Service) Unit() string {
	return fmt.Sprintf(`[Unit]
Description=%s
Documentation=man:repronet-reporter-run(1)
After=network-online.target
Wants=network-online.target
ConditionPathExists=%s/config.json

[Service]
ExecStart=%s run --dir %[2]s
User=%[4]s
Restart=on-failure
RestartSec=30
UMask=0077
ReadWritePaths=%[2]s
NoNewPrivileges=true
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=true
PrivateDevices=true
PrivateUsers=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
RemoveIPC=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
MemoryDenyWriteExecute=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`, s.Description, s.Home, s.Program, s.User)
}
