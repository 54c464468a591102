from agent_mem.cli.main import main

main()
