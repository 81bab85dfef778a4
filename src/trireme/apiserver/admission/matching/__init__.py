"""Which writes a webhook or a policy is about: rules, selectors, match conditions.

One ``Matcher`` for each webhook, policy or binding, made when its configuration changes. What only
depends on the kind, the subresource and the operation is computed once and kept:

    matcher = Matcher(rules, namespace_selector, object_selector, equivalent=True)
    found = matcher.match(attributes, context)      # Version | None; ApiError
    data = await attributes.objects.converted(attributes.new, found)   # JSON of that version
    conditions = Conditions(match_conditions, failure_policy)
    conditions.hold(variables(...))                 # bool; EvaluationFailed

``exempt`` says which kinds no configuration is ever asked about.
"""
