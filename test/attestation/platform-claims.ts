/**
 * Claims of the two CI platforms, complete, in the shape and types their documentation shows (evidence.md A1 and A2), beside
 * iss, aud, iat, exp and jti.
 */
export const githubClaims = {
  sub: 'repo:acme/app:ref:refs/heads/main',
  actor: 'octocat', actor_id: '583231', base_ref: '', head_ref: '', check_run_id: '9988776655', enterprise: 'acme', enterprise_id: '42',
  event_name: 'push', job_workflow_ref: 'acme/app/.github/workflows/deploy.yml@refs/heads/main', job_workflow_sha: 'f1d2d2f924e986ac86fdf7b36c94bcdf32beec15',
  ref: 'refs/heads/main', ref_type: 'branch', ref_protected: 'true', repository: 'acme/app', repository_id: '815', repository_owner: 'acme', repository_owner_id: '4711',
  repository_visibility: 'private', run_id: '1577', run_number: '10', run_attempt: '2', runner_environment: 'github-hosted', sha: 'f1d2d2f924e986ac86fdf7b36c94bcdf32beec15',
  workflow: 'deploy', workflow_ref: 'acme/app/.github/workflows/deploy.yml@refs/heads/main', workflow_sha: 'f1d2d2f924e986ac86fdf7b36c94bcdf32beec15',
} as const;

export const gitlabClaims = {
  sub: 'project_path:acme/app:ref_type:branch:ref:main',
  namespace_id: '72', namespace_path: 'acme', project_id: '20', project_path: 'acme/app', project_visibility: 'private',
  user_id: '1', user_login: 'sidney', user_email: 'sidney@acme.example', user_access_level: 'developer', user_identities: [{ provider: 'github', extern_uid: '2435223452345' }],
  pipeline_id: '574', pipeline_source: 'push', job_id: '302', ref: 'main', ref_type: 'branch', ref_path: 'refs/heads/main', ref_protected: 'true',
  groups_direct: ['acme', 'acme/platform'], environment: 'production', environment_protected: 'true', deployment_tier: 'production', environment_action: 'start',
  runner_id: 1, runner_environment: 'self-hosted', sha: '714a629c0b401fdce83e847fc9589983fc6f46bc', ci_config_ref_uri: 'gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main', ci_config_sha: null,
  job_project_id: '20', job_project_path: 'acme/app', job_namespace_id: '72', job_namespace_path: 'acme', job_source: 'pipeline',
} as const;
