"""What starts the sync with the machine: the text of a unit for each system."""

from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

SYSTEMD: Final = """\
# ~/.config/systemd/user/agent-mem-sync.service; then:
#   systemctl --user enable --now agent-mem-sync
[Unit]
Description=agent-mem sync
After=network-online.target

[Service]
ExecStart="{python}" -m agent_mem sync --daemon --interval {interval}
# Has AGENT_MEM_SERVER=postgresql://..., readable by you alone.
EnvironmentFile=%h/.config/agent-mem.env
Restart=always
RestartSec=30

[Install]
WantedBy=default.target"""

LAUNCHD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ~/Library/LaunchAgents/agent-mem-sync.plist, mode 600; then:
     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/agent-mem-sync.plist -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>agent-mem-sync</string>
    <key>ProgramArguments</key>
    <array>
        <string>{python}</string>
        <string>-m</string>
        <string>agent_mem</string>
        <string>sync</string>
        <string>--daemon</string>
        <string>--interval</string>
        <string>{interval}</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
        <key>AGENT_MEM_SERVER</key>
        <string>postgresql://USER:PASSWORD@HOST/DATABASE</string>
    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <true/>
</dict>
</plist>"""

WINDOWS: Final = """\
<?xml version="1.0" encoding="UTF-16"?>
<!-- Save as agent-mem-sync.xml; then, with AGENT_MEM_SERVER set by `setx`:
     schtasks /Create /TN agent-mem-sync /XML agent-mem-sync.xml -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Settings>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions>
    <Exec>
      <Command>{python}</Command>
      <Arguments>-m agent_mem sync --daemon --interval {interval}</Arguments>
    </Exec>
  </Actions>
</Task>"""

Unit = Callable[[str, int], str]


def quoted(path: str) -> str:
    """Write a path between the quotes of systemd."""
    for sign, so in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        path = path.replace(sign, so)
    return path


def written(template: str, write: Callable[[str], str]) -> Unit:
    return lambda python, interval: template.format(python=write(python), interval=interval)


UNITS: Final[dict[str, Unit]] = {
    "systemd": written(SYSTEMD, quoted),
    "launchd": written(LAUNCHD, escape),
    "windows": written(WINDOWS, escape),
}
